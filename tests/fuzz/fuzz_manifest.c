/* A model's manifest in the zoo: its weights lie in the zoo's own folder, or in the model's, whatever it says. */
#include "fuzz.h"
#include "model/zoo.h"

static char *folder, *manifest;

static void remove_folder(void) { tree_remove(folder); }

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    struct error err;
    (void)count, (void)arguments;
    folder = directory_make_temporary("/tmp", "mela-fuzz", &err);
    ensure(folder);
    atexit(remove_folder);
    manifest = xasprintf("%s/one.json", folder);
    _cleanup_free_ char *weights = xasprintf("%s/weights.onnx", folder);
    ensure(file_write_atomic(weights, "1234", 4, 0644, &err));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct error err;
    FILE *file = fopen(manifest, "wb");
    ensure(file && fwrite(bytes, 1, length, file) == length && fclose(file) == 0);
    _cleanup_zoo_ struct zoo *zoo = zoo_open(folder, folder, &err);
    if (!zoo)
        return 0;
    _cleanup_json_ json_t *list = zoo_list(zoo);
    ensure(json_array_size(list) == 1);
    const char *name = json_get_string(json_array_get(list, 0), "name", "");
    ensure(*name && !strchr(name, '/'));
    _cleanup_free_ char *path = zoo_file(zoo, name, &err);
    ensure(!path || (strncmp(path, folder, strlen(folder)) == 0 && strrchr(path, '/') == path + strlen(folder)));
    ensure(strlen(json_get_string(json_array_get(list, 0), "sha256", "")) == 64);
    _cleanup_json_ json_t *files = zoo_files(zoo, name, &err);
    ensure(json_array_size(files) > 0);
    for (size_t i = 0; i < json_array_size(files); i++)
        ensure(path_is_plain(json_get_string(json_array_get(files, i), "path", "/")));
    _cleanup_free_ char *whole = zoo_folder(zoo, name, &err);
    ensure(!whole || !path);
    (void)!zoo_check(zoo, name, &err);
    return 0;
}
