/* SHA-256 and HMAC (OpenSSL), hex, and comparison in constant time. */
#pragma once

#include <stdint.h>

#include "base/error.h"

enum { SHA256_BYTES = 32, SHA256_HEX = 64 };

/* A running hash. The caller owns it: update it any number of times, then finish it, which also frees it, or free it.
 */
struct sha256;
struct sha256 *sha256_new(void);
void sha256_update(struct sha256 *hash, const void *data, size_t length);
void sha256_finish(struct sha256 *hash, unsigned char out[SHA256_BYTES]);
void sha256_free(struct sha256 *hash);
DEFINE_CLEANUP(struct sha256 *, sha256_free)
#define _cleanup_sha256_ _cleanup_(sha256_free_cleanup)

/* The hash of bytes that are all there. */
void sha256_of(const void *data, size_t length, unsigned char out[SHA256_BYTES]);
/* RFC 2104 with SHA-256. */
void hmac_sha256(const void *key, size_t key_length, const void *data, size_t length, unsigned char out[SHA256_BYTES]);
/* Writes 2 * length lower-case characters and a NUL. */
void hex_encode(const void *data, size_t length, char *out);
/* True for exactly 64 lower-case hex characters. */
bool is_sha256_hex(const char *text);
/* The file's hash as hex, and its size when `bytes` is not NULL; io when it cannot be read. */
bool sha256_file(const char *path, char hex[SHA256_HEX + 1], int64_t *bytes, struct error *err) must_check;
/* Whether the bytes are the same, in a time that does not depend on them: for keys and signatures. */
bool equal_constant_time(const void *a, const void *b, size_t length);
