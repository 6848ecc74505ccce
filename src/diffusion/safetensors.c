#include "diffusion/safetensors.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/memory.h"
#include "diffusion/half.h"

enum { READ_BLOCK = 1 << 14 }; /* values */

static const struct {
    const char *name;
    int64_t bytes;
} types[] = {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},  {"U64", 8},     {"I32", 4},    {"U32", 4},
             {"I16", 2}, {"U16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};

struct safetensors {
    int descriptor;
    char *path;
    uint64_t data;  /* where the tensors begin */
    json_t *header; /* has the names */
    struct tensor_entry *entries;
    size_t count;
};

static bool invalid(const struct safetensors *file, const char *name, const char *what, struct error *err) {
    return error_set(err, ERR_WEIGHTS_INVALID, "%s: \"%s\" %s", file->path, name, what);
}

/* --- one tensor's entry --- */

static bool read_type(const json_t *json, struct tensor_entry *out, int64_t *bytes) {
    const char *name = json_get_string(json, "dtype", "");
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
        if (strcmp(types[i].name, name) == 0) {
            out->type = types[i].name;
            *bytes = types[i].bytes;
            return true;
        }
    return false;
}

static bool read_shape(const json_t *shape, struct tensor_entry *out) {
    out->rank = (int)MIN(json_array_size(shape), TENSOR_RANK + 1);
    out->count = 1;
    if (!json_is_array(shape) || out->rank > TENSOR_RANK)
        return false;
    for (int i = 0; i < out->rank; i++) {
        const json_t *length = json_array_get(shape, (size_t)i);
        out->shape[i] = json_integer_value(length);
        if (!json_is_integer(length) || out->shape[i] < 0 ||
            __builtin_mul_overflow(out->count, out->shape[i], &out->count))
            return false;
    }
    return true;
}

static bool read_offsets(const json_t *offsets, struct tensor_entry *out) {
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return false;
    out->begin = (uint64_t)json_integer_value(begin);
    out->end = (uint64_t)json_integer_value(end);
    return true;
}

static bool read_entry(const struct safetensors *file, const char *name, const json_t *json, struct tensor_entry *out,
                       struct error *err) {
    int64_t size;
    *out = (struct tensor_entry){.name = name};
    if (json_object_size(json) != 3)
        return invalid(file, name, "has not just dtype, shape and data_offsets", err);
    if (!read_type(json, out, &size))
        return invalid(file, name, "has an unknown dtype", err);
    if (!read_shape(json_object_get(json, "shape"), out) || __builtin_mul_overflow(out->count, size, &size))
        return invalid(file, name, "has no shape that can be", err);
    if (!read_offsets(json_object_get(json, "data_offsets"), out))
        return invalid(file, name, "has no data_offsets that can be", err);
    return out->end - out->begin == (uint64_t)size || invalid(file, name, "has not the bytes of its shape", err);
}

/* --- the header --- */

static int compare_places(const void *left, const void *right) {
    const struct tensor_entry *a = left, *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return a->end == b->end ? 0 : a->end < b->end ? -1 : 1;
}

static int compare_names(const void *left, const void *right) {
    const struct tensor_entry *a = left, *b = right;
    return strcmp(a->name, b->name);
}

/* Every byte belongs to one tensor: no holes to hide something in, no overlaps that unfold to more than the file. */
static bool check_places(struct safetensors *file, uint64_t size, struct error *err) {
    uint64_t end = 0;
    if (file->count > 0)
        qsort(file->entries, file->count, sizeof *file->entries, compare_places);
    for (size_t i = 0; i < file->count; i++) {
        if (file->entries[i].begin != end)
            return invalid(file, file->entries[i].name, "does not begin where the tensor before it ends", err);
        end = file->entries[i].end;
    }
    if (end != size)
        return error_set(err, ERR_WEIGHTS_INVALID, "%s has %llu bytes of tensors, its header says %llu", file->path,
                         (unsigned long long)size, (unsigned long long)end);
    if (file->count > 0)
        qsort(file->entries, file->count, sizeof *file->entries, compare_names);
    return true;
}

static bool check_metadata(const struct safetensors *file, json_t *metadata, struct error *err) {
    const char *key;
    json_t *value;
    bool texts = json_is_object(metadata);
    json_object_foreach (metadata, key, value)
        texts = texts && json_is_string(value);
    return texts || invalid(file, "__metadata__", "is not an object of texts", err);
}

static bool read_tensors(struct safetensors *file, struct error *err) {
    const char *name;
    json_t *json;
    file->entries = xnew_array(struct tensor_entry, json_object_size(file->header) + 1);
    json_object_foreach (file->header, name, json) {
        if (strcmp(name, "__metadata__") == 0) {
            if (!check_metadata(file, json, err))
                return false;
        } else if (!read_entry(file, name, json, &file->entries[file->count++], err))
            return false;
    }
    return true;
}

static bool read_bytes_at(const struct safetensors *file, void *out, size_t length, uint64_t offset,
                          struct error *err) {
    for (size_t done = 0; done < length;) {
        ssize_t got = pread(file->descriptor, (char *)out + done, length - done, (off_t)(offset + done));
        if (got < 0 && errno != EINTR)
            return error_set_errno(err, ERR_IO, errno, "cannot read %s", file->path);
        if (got == 0)
            return error_set(err, ERR_WEIGHTS_INVALID, "%s ends too early", file->path);
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static bool read_header(struct safetensors *file, uint64_t size, struct error *err) {
    uint64_t length = 0;
    if (size < sizeof length || !read_bytes_at(file, &length, sizeof length, 0, err))
        return error_set(err, ERR_WEIGHTS_INVALID, "%s is too short for a safetensors file", file->path);
    length = le64toh(length);
    if (length < 2 || length > SAFETENSORS_HEADER || length > size - sizeof length)
        return error_set(err, ERR_WEIGHTS_INVALID, "%s: a header of %llu bytes; 2 to %d and no more than the file has",
                         file->path, (unsigned long long)length, SAFETENSORS_HEADER);
    _cleanup_free_ char *text = xcalloc(length, 1);
    if (!read_bytes_at(file, text, length, sizeof length, err))
        return false;
    file->data = sizeof length + length;
    file->header = text[0] == '{' ? json_parse(text, length, err) : NULL;
    if (!file->header)
        return error_set(err, ERR_WEIGHTS_INVALID, "%s: the header is not a JSON object, or has a name twice",
                         file->path);
    return read_tensors(file, err) && check_places(file, size - file->data, err);
}

struct safetensors *safetensors_open(const char *path, struct error *err) {
    _cleanup_safetensors_ struct safetensors *file = xnew(struct safetensors);
    struct stat info;
    file->path = xstrdup(path);
    file->descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (file->descriptor < 0 || fstat(file->descriptor, &info) != 0) {
        error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
        return NULL;
    }
    return read_header(file, (uint64_t)info.st_size, err) ? steal(file) : NULL;
}

void safetensors_close(struct safetensors *file) {
    if (file->descriptor >= 0)
        close(file->descriptor);
    free(file->path);
    free(file->entries);
    json_decref(file->header);
    free(file);
}

const struct tensor_entry *safetensors_entries(const struct safetensors *file, size_t *count) {
    *count = file->count;
    return file->entries;
}

const char *safetensors_metadata(const struct safetensors *file, const char *key) {
    return json_get_string(json_object_get(file->header, "__metadata__"), key, NULL);
}

/* --- values --- */

static void convert_values(const char *type, const void *in, float *out, size_t count) {
    if (strcmp(type, "F32") == 0)
        memcpy(out, in, count * sizeof *out);
    else if (strcmp(type, "F16") == 0)
        half_to_float(in, out, count);
    else if (strcmp(type, "BF16") == 0)
        for (size_t i = 0; i < count; i++) {
            uint32_t bits = (uint32_t)((const uint16_t *)in)[i] << 16;
            memcpy(&out[i], &bits, sizeof bits);
        }
    else
        for (size_t i = 0; i < count; i++)
            out[i] = (float)((const double *)in)[i];
}

bool safetensors_read(const struct safetensors *file, const struct tensor_entry *entry, float *out, struct error *err) {
    if (!strchr(entry->type, 'F') || strchr(entry->type, '_'))
        return invalid(file, entry->name, "is not of F64, F32, F16 or BF16", err);
    if (entry->count == 0)
        return true;
    _cleanup_free_ double *block = xnew_array(double, READ_BLOCK);
    size_t size = (entry->end - entry->begin) / (uint64_t)entry->count;
    for (int64_t done = 0; done < entry->count; done += READ_BLOCK) {
        size_t count = (size_t)MIN(entry->count - done, READ_BLOCK);
        uint64_t offset = file->data + entry->begin + (uint64_t)done * size;
        if (!read_bytes_at(file, block, count * size, offset, err))
            return false;
        convert_values(entry->type, block, out + done, count);
    }
    return true;
}
