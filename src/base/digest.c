#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/digest.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/memory.h"

/* OpenSSL's provider machinery costs 2 MB of resident memory on its first use, which a server at rest need
 * not carry; hence the plain functions. HMAC is used only where TLS has paid for it already. */
struct sha256 {
    SHA256_CTX context;
};

struct sha256 *sha256_new(void) {
    struct sha256 *hash = xnew(struct sha256);
    SHA256_Init(&hash->context);
    return hash;
}

void sha256_update(struct sha256 *hash, const void *data, size_t length) {
    SHA256_Update(&hash->context, data, length);
}

void sha256_finish(struct sha256 *hash, unsigned char out[SHA256_BYTES]) {
    SHA256_Final(out, &hash->context);
    sha256_free(hash);
}

void sha256_free(struct sha256 *hash) { free(hash); }

void sha256_of(const void *data, size_t length, unsigned char out[SHA256_BYTES]) {
    SHA256_CTX context; /* SHA256() itself would go through the providers */
    SHA256_Init(&context);
    SHA256_Update(&context, data, length);
    SHA256_Final(out, &context);
}

void hmac_sha256(const void *key, size_t key_length, const void *data, size_t length, unsigned char out[SHA256_BYTES]) {
    HMAC(EVP_sha256(), key, (int)key_length, data, length, out, NULL);
}

void hex_encode(const void *data, size_t length, char *out) {
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = "0123456789abcdef"[((const unsigned char *)data)[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[((const unsigned char *)data)[i] & 15];
    }
    out[2 * length] = '\0';
}

bool is_sha256_hex(const char *text) {
    return strspn(text, "0123456789abcdef") == SHA256_HEX && text[SHA256_HEX] == '\0';
}

bool sha256_file(const char *path, char hex[SHA256_HEX + 1], int64_t *bytes, struct error *err) {
    _cleanup_fclose_ FILE *file = fopen(path, "rbe");
    if (!file)
        return error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
    _cleanup_sha256_ struct sha256 *hash = sha256_new();
    char block[65536];
    int64_t total = 0;
    for (size_t got; (got = fread(block, 1, sizeof block, file)) > 0; total += (int64_t)got)
        sha256_update(hash, block, got);
    if (ferror(file))
        return error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
    unsigned char digest[SHA256_BYTES];
    sha256_finish(steal(hash), digest);
    hex_encode(digest, sizeof digest, hex);
    if (bytes)
        *bytes = total;
    return true;
}

bool equal_constant_time(const void *a, const void *b, size_t length) { return CRYPTO_memcmp(a, b, length) == 0; }
