#include "model/replaced.h"

#include <errno.h>
#include <fcntl.h>
#include <onnxruntime_session_options_config_keys.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "model/onnx_file.h"
#include "model/runtime.h"

static const struct onnx_weight *find_weight(const struct onnx_file *file, const char *name) {
    for (size_t i = 0; i < file->weight_count; i++)
        if (strcmp(file->weights[i].name, name) == 0)
            return &file->weights[i];
    return NULL;
}

static size_t weight_bytes(const struct session_weight *weight) {
    size_t bytes = tensor_type_bytes(weight->type);
    for (int i = 0; i < weight->rank; i++)
        bytes *= (size_t)weight->dims[i];
    return bytes;
}

static bool weight_fits(const struct onnx_weight *found, const struct session_weight *wanted) {
    if (!found || found->rank != wanted->rank ||
        found->type != (int)runtime_element(wanted->type) || /* ONNX Runtime's numbers are ONNX's */
        (!found->location && found->size != weight_bytes(wanted)))
        return false;
    for (int i = 0; i < wanted->rank; i++)
        if (found->dims[i] != wanted->dims[i])
            return false;
    return true;
}

/* A private map: of the file's pages only those that change are copied. */
static bool replaced_map(struct replaced *replaced, const char *path, struct error *err) {
    struct stat info;
    if (replaced->bytes)
        return true;
    _cleanup_close_ int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &info) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
    void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    if (bytes == MAP_FAILED)
        return error_set_errno(err, errno == ENOMEM ? ERR_MODEL_MEMORY : ERR_IO, errno, "cannot map %s", path);
    replaced->bytes = bytes;
    replaced->length = (size_t)info.st_size;
    return true;
}

static bool replace_inside(struct replaced *replaced, const char *path, const struct onnx_weight *found,
                           const struct session_weight *weight, struct error *err) {
    if (!replaced_map(replaced, path, err))
        return false;
    if (found->offset + found->size > replaced->length)
        return error_set(err, ERR_MODEL_INVALID, "%s changed while it was read", path);
    memcpy((char *)replaced->bytes + found->offset, weight->data, found->size);
    return true;
}

static bool replace_beside(struct replaced *replaced, const OrtMemoryInfo *memory, const struct session_weight *weight,
                           struct error *err) {
    const OrtApi *ort = replaced->ort;
    replaced->names[replaced->count] = weight->name;
    return runtime_passed(ort,
                          ort->CreateTensorWithDataAsOrtValue(memory, weight->data, weight_bytes(weight), weight->dims,
                                                              (size_t)weight->rank, runtime_element(weight->type),
                                                              &replaced->values[replaced->count++]),
                          ERR_MODEL_RUN, weight->name, err);
}

static bool replace_all(struct replaced *replaced, const OrtMemoryInfo *memory, const char *path,
                        const struct session_weight *weights, size_t count, struct error *err) {
    _cleanup_onnx_file_ struct onnx_file *file = onnx_file_read(path, err);
    for (size_t i = 0; file && i < count; i++) {
        const struct onnx_weight *found = find_weight(file, weights[i].name);
        if (!weight_fits(found, &weights[i]))
            return error_set(err, ERR_MODEL_INVALID, "%s has no weight %s of this type and shape", path,
                             weights[i].name);
        if (!(found->location ? replace_beside(replaced, memory, &weights[i], err)
                              : replace_inside(replaced, path, found, &weights[i], err)))
            return false;
    }
    return file != NULL;
}

/* A model that is read from memory does not know its folder. */
static bool tell_folder(const OrtApi *ort, const char *path, OrtSessionOptions *options, struct error *err) {
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *folder = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
    return runtime_passed(
        ort, ort->AddSessionConfigEntry(options, kOrtSessionOptionsModelExternalInitializersFileFolderPath, folder),
        ERR_MODEL_RUN, path, err);
}

bool replaced_prepare(const OrtApi *ort, const char *path, const struct session_weight *weights, size_t count,
                      OrtSessionOptions *options, struct replaced *out, struct error *err) {
    *out = (struct replaced){.ort = ort};
    out->values = xnew_array(OrtValue *, count + 1);
    out->names = xnew_array(const char *, count + 1);
    OrtMemoryInfo *memory = NULL;
    if (!runtime_passed(ort, ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory), ERR_MODEL_RUN,
                        path, err))
        return false;
    bool done = replace_all(out, memory, path, weights, count, err);
    ort->ReleaseMemoryInfo(memory);
    return done && (!out->bytes || tell_folder(ort, path, options, err)) &&
           (!out->count || runtime_passed(ort,
                                          ort->AddExternalInitializers(
                                              options, out->names, (const OrtValue *const *)out->values, out->count),
                                          ERR_MODEL_INVALID, path, err));
}

void replaced_clear(struct replaced *replaced) {
    for (size_t i = 0; i < replaced->count; i++)
        if (replaced->values[i])
            replaced->ort->ReleaseValue(replaced->values[i]);
    free(replaced->values);
    free(replaced->names);
    if (replaced->bytes)
        munmap(replaced->bytes, replaced->length);
}
