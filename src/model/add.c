#include "model/add.h"

#include <unistd.h>

#include "base/digest.h"
#include "base/memory.h"
#include "model/inspect.h"

static void unlink_and_free(char **path) {
    if (*path)
        unlink(*path);
    free(*path);
}

static json_t *make_manifest(const char *name, const char *role, const char *sha256, int64_t bytes, json_t *contract) {
    /* Weights twice (as read, and packed for the CPU) and room for activations. */
    int64_t memory_mb = 2 * (bytes >> 20) + 256;
    _cleanup_free_ char *file = xasprintf("%s.onnx", name);
    return json_pack("{ss ss ss ss sI ss ss sI sO}", "name", name, "role", role, "file", file, "sha256", sha256,
                     "bytes", (json_int_t)bytes, "licence", "unknown", "source", "added with mela models add",
                     "memory_mb", (json_int_t)memory_mb, "contract", contract);
}

bool model_add(struct zoo *zoo, const char *role, const char *path, const char *name, struct error *err) {
    if (!zoo_check_new_name(zoo, name, err))
        return false;
    _cleanup_(unlink_and_free) char *temporary = NULL;
    char sha256[SHA256_HEX + 1];
    int64_t bytes;
    if (!zoo_copy_in(zoo, path, &temporary, err))
        return false;
    /* The copy is inspected, not the original: what works in the zoo is what counts. */
    _cleanup_json_ json_t *contract = inspect_file(role, temporary, err);
    if (!contract)
        return error_wrap(err, "%s", path);
    if (!sha256_file(temporary, sha256, &bytes, err))
        return false;
    _cleanup_json_ json_t *manifest = make_manifest(name, role, sha256, bytes, contract);
    return zoo_install(zoo, temporary, manifest, err);
}
