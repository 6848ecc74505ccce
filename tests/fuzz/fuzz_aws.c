/* Where credentials come from: a profile's INI file, a provider's JSON, STS' XML. */
#include "fuzz.h"
#include "store/credentials.h"
#include "store/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    const char *path = fuzz_file(bytes, length);
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, true);
    setenv("AWS_CONFIG_FILE", path, true);
    static const char *const profiles[] = {"default", "studio"};
    for (size_t i = 0; i < ARRAY_LENGTH(profiles); i++) {
        setenv("AWS_PROFILE", profiles[i], true);
        _cleanup_free_ char *key = profile_get("aws_access_key_id"), *region = profile_get("region");
        ensure(!key || (!strchr(key, '\n') && strlen(key) <= length));
        ensure(!region || (!strchr(region, '\n') && strlen(region) <= length));
    }
    _cleanup_buffer_ struct buffer answer = {0};
    buffer_append(&answer, bytes, length);
    bool (*const readers[])(const struct buffer *, const char *, struct credentials *,
                            struct error *) = {credentials_from_json, credentials_from_xml};
    for (size_t i = 0; i < ARRAY_LENGTH(readers) && length > 0; i++) {
        struct credentials found = {0};
        struct error err = {.code = ERR_NONE};
        if (readers[i](&answer, "http://provider/", &found, &err))
            ensure(found.access_key && found.secret_key);
        else
            ensure(err.code == ERR_STORE_CREDENTIALS || err.code == ERR_JSON_INVALID);
        credentials_clear(&found);
    }
    return 0;
}
