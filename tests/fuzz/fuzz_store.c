/* URLs of stores and URIs of inputs: what is opened has a bucket's name, and its keys stay below it. */
#include "fuzz.h"
#include "store/backend.h"
#include "store/input.h"
#include "store/key.h"

static struct store *farm;

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    static const char directory[] = "/tmp";
    struct error err;
    (void)count, (void)arguments;
    setenv("AWS_EC2_METADATA_DISABLED", "true", true);
    _cleanup_free_ char *folder = directory_make_temporary(directory, "mela-fuzz", &err);
    ensure(folder);
    _cleanup_free_ char *url = xasprintf("file://%s", folder);
    farm = store_open(url, NULL, &err);
    ensure(farm);
    tree_remove(folder);
    return 0;
}

static void check_store(const struct store *store) {
    const char *bucket = store->url + strlen("s3://");
    size_t length = strcspn(bucket, "/"), end = strlen(store->url);
    ensure(strncmp(store->url, "s3://", 5) == 0 && length >= 3 && length <= 63);
    ensure(strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") >= length);
    ensure(store->url[end - 1] != '/' && (!bucket[length] || key_is_valid(bucket + length + 1)));
}

/* Not file:///, which would be made. */
static void open_url(const char *url) {
    struct error err = {.code = ERR_NONE};
    if (strncmp(url, "file://", 7) == 0)
        return;
    _cleanup_store_ struct store *store = store_open(url, NULL, &err);
    if (store)
        check_store(store);
    else
        ensure(err.code == ERR_STORE_INVALID_URL || err.code == ERR_STORE_INVALID_KEY);
}

static void locate(const char *uri) {
    struct error err = {.code = ERR_NONE};
    _cleanup_release_ struct store *store = NULL;
    _cleanup_free_ char *key = NULL;
    if (!input_locate(farm, uri, &store, &key, &err)) {
        ensure(err.code != ERR_NONE && !key);
        return;
    }
    ensure(store && key && *key);
    if (store == farm)
        ensure(strncmp(key, "files/", 6) == 0 && key_is_valid(key));
    else
        check_store(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    _cleanup_free_ char *text = fuzz_text(bytes, length);
    struct error err;
    open_url(text);
    locate(text);
    if (!key_check(text, &err))
        ensure(fuzz_is_printable(err.message));
    return 0;
}
