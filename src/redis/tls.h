/* TLS to Redis, where the installed hiredis has it (1.0 or later, with libhiredis_ssl). */
#pragma once

#include <hiredis/hiredis.h>

#include "base/error.h"

struct redis_tls;

/* What the connections of one client share. `ca`: file with the authorities to trust (PEM); NULL: the system's. NULL
 * with queue.config when hiredis has no TLS or the file cannot be read; the caller closes it otherwise. */
struct redis_tls *redis_tls_open(const char *ca, struct error *err) must_check;
void redis_tls_close(struct redis_tls *tls);
/* The TLS handshake over a fresh connection, which stays the caller's; the server must prove that it is `host`. False
 * with queue.config for a certificate that does not prove it, with queue.unavailable when the connection broke. */
bool redis_tls_start(const struct redis_tls *tls, redisContext *context, const char *host,
                     struct error *err) must_check;
