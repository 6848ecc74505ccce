/* URLs of Redis: what is accepted leads to one place, and connects to nothing. */
#include "fuzz.h"
#include "redis/url.h"

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count, (void)arguments;
    setenv("SSL_CERT_FILE", "/dev/null", true); /* the system's authorities take 50 ms to read */
    setenv("SSL_CERT_DIR", "/dev/null", true);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    _cleanup_free_ char *url = fuzz_text(bytes, length);
    struct error err = {.code = ERR_NONE};
    if (strstr(url, "/dev/") || strstr(url, "/proc/")) /* as a file of authorities, it may never end */
        return 0;
    _cleanup_redis_ struct redis *redis = redis_prepare(url, 1, &err);
    if (!redis) {
        ensure(err.code == ERR_QUEUE_CONFIG);
        return 0;
    }
    struct redis_place place = redis_place(redis);
    ensure((place.host == NULL) != (place.path == NULL));
    ensure(!place.path || place.path[0] == '/');
    ensure(!place.host || (place.host[0] && place.port >= 1 && place.port <= 65535));
    return 0;
}
