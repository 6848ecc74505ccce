/* Which names an object may have. Internal to the room. */
#pragma once

#include "base/error.h"

/* 1 to 1024 bytes (S3's limit) of components parted by slashes, none of them "", "." or ".." or with control
 * characters, the first not ".tmp", which is the file store's own; store.invalid_key says what is wrong. */
bool key_check(const char *key, struct error *err) must_check;
bool key_is_valid(const char *key);
