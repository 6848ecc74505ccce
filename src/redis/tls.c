#include "redis/tls.h"

#ifdef HIREDIS_HAS_TLS

#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/memory.h"

struct redis_tls {
    SSL_CTX *context;
};

struct redis_tls *redis_tls_open(const char *ca, struct error *err) {
    struct redis_tls *tls = xnew(struct redis_tls);
    tls->context = SSL_CTX_new(TLS_client_method());
    if (!tls->context)
        abort(); /* out of memory */
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) == 1 &&
        (ca ? SSL_CTX_load_verify_file(tls->context, ca) : SSL_CTX_set_default_verify_paths(tls->context)) == 1)
        return tls;
    error_set(err, ERR_QUEUE_CONFIG, "cannot read certificates of authorities from %s", ca ? ca : "the system's store");
    redis_tls_close(tls);
    return NULL;
}

void redis_tls_close(struct redis_tls *tls) {
    SSL_CTX_free(tls->context);
    free(tls);
}

/* hiredis has OpenSSL check at most the chain, not the name: without this any trusted certificate would do. */
static bool expect_host(SSL *ssl, const char *host) {
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1)
        return true;
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

bool redis_tls_start(const struct redis_tls *tls, redisContext *context, const char *host, struct error *err) {
    SSL *ssl = SSL_new(tls->context);
    if (!ssl)
        abort(); /* out of memory */
    if (expect_host(ssl, host) && redisInitiateSSL(context, ssl) == REDIS_OK)
        return true;
    long verified = SSL_get_verify_result(ssl);
    SSL_free(ssl);
    if (verified != X509_V_OK)
        error_set(err, ERR_QUEUE_CONFIG, "Redis at %s: its certificate is not good: %s", host,
                  X509_verify_cert_error_string(verified));
    else
        error_set(err, ERR_QUEUE_UNAVAILABLE, "Redis at %s: %s", host, context->errstr);
    return false;
}

#else /* the same functions for a hiredis without TLS */

struct redis_tls *redis_tls_open(const char *ca, struct error *err) {
    error_set(
        err, ERR_QUEUE_CONFIG,
        "rediss:// needs a hiredis with TLS, and this one (%d.%d) has none; use redis:// inside a private network or "
        "through a TLS tunnel",
        HIREDIS_MAJOR, HIREDIS_MINOR);
    return NULL;
}

void redis_tls_close(struct redis_tls *tls) {}

bool redis_tls_start(const struct redis_tls *tls, redisContext *context, const char *host, struct error *err) {
    return error_set(err, ERR_INTERNAL, "there is no TLS");
}

#endif
