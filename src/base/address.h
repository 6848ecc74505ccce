/* Addresses to listen on. */
#pragma once

#include <netdb.h>

#include "base/error.h"

DEFINE_CLEANUP(struct addrinfo *, freeaddrinfo)
#define _cleanup_address_ _cleanup_(freeaddrinfo_cleanup)

/* "127.0.0.1:8080" or "[::1]:8080": numbers only, so that no resolver is asked. The caller frees the list with
 * freeaddrinfo. NULL with config.invalid. */
struct addrinfo *address_resolve(const char *address, struct error *err) must_check;
