#include "model/onnx_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/protobuf.h"

enum {
    NESTING_MAX = 16,     /* of graphs inside nodes */
    LOCATIONS_MAX = 8192, /* old exporters write a file a tensor */
};

/* A text of the file; NULL when it has a zero byte inside, which no name has. Caller frees. */
static char *copy_text(struct protobuf text) {
    size_t length = protobuf_length(text);
    return memchr(text.at, '\0', length) ? NULL : xasprintf("%.*s", (int)MIN(length, 4096), (const char *)text.at);
}

static void onnx_set_text(char **out, struct protobuf text) {
    free(*out);
    *out = copy_text(text);
}

/* ---- weights ---- */

static bool note_location(struct onnx_file *file, const char *location) {
    if (!path_is_plain(location) || file->location_count == LOCATIONS_MAX)
        return false;
    for (size_t i = 0; i < file->location_count; i++)
        if (strcmp(file->locations[i], location) == 0)
            return true;
    file->locations = xgrown(file->locations, file->location_count, sizeof *file->locations);
    file->locations[file->location_count++] = xstrdup(location);
    return true;
}

static bool read_dims(struct onnx_weight *weight, const struct protobuf_field *field) {
    struct protobuf packed = field->bytes;
    uint64_t dim = field->value;
    do {
        if (field->wire == PROTOBUF_BYTES && packed.at < packed.end && !protobuf_read_varint(&packed, &dim))
            return false;
        if (weight->rank == ONNX_RANK_MAX || dim > INT64_MAX)
            return false;
        weight->dims[weight->rank++] = (int64_t)dim;
    } while (packed.at < packed.end);
    return true;
}

/* A StringStringEntryProto: key 1, value 2. */
static bool onnx_read_entry(struct protobuf rest, struct protobuf *key, struct protobuf *value) {
    *key = *value = protobuf_of("", 0);
    for (struct protobuf_field field; rest.at < rest.end;) {
        if (!protobuf_read(&rest, &field))
            return false;
        if (field.number <= 2 && field.wire == PROTOBUF_BYTES)
            *(field.number == 1 ? key : value) = field.bytes;
    }
    return true;
}

static bool read_external(struct onnx_weight *weight, struct protobuf entry) {
    struct protobuf key, value;
    if (!onnx_read_entry(entry, &key, &value))
        return false;
    if (protobuf_equals(key, "location"))
        onnx_set_text(&weight->location, value);
    _cleanup_free_ char *number = copy_text(value);
    if (number && protobuf_equals(key, "offset"))
        weight->offset = strtoull(number, NULL, 10);
    if (number && protobuf_equals(key, "length"))
        weight->size = strtoull(number, NULL, 10);
    return true;
}

/* A TensorProto: dims 1, data_type 2, name 8, raw_data 9, external_data 13, data_location 14. `base`: where the file's
 * bytes begin. */
static bool read_tensor(struct protobuf rest, const unsigned char *base, struct onnx_weight *weight) {
    bool external = false, good = true;
    for (struct protobuf_field field; good && rest.at < rest.end;) {
        good = protobuf_read(&rest, &field);
        bool bytes = good && field.wire == PROTOBUF_BYTES;
        if (good && field.number == 1)
            good = read_dims(weight, &field);
        else if (good && field.number == 2)
            weight->type = (int)field.value;
        else if (bytes && field.number == 8)
            onnx_set_text(&weight->name, field.bytes);
        else if (bytes && field.number == 13)
            good = read_external(weight, field.bytes);
        else if (good && field.number == 14)
            external = field.value == 1;
        else if (bytes && field.number == 9) {
            weight->offset = (uint64_t)(field.bytes.at - base);
            weight->size = protobuf_length(field.bytes);
        }
    }
    return good && external == (weight->location != NULL);
}

static void weight_clear(struct onnx_weight *weight) {
    free(weight->name);
    free(weight->location);
}

/* ---- nodes ---- */

struct reading {
    struct onnx_file *file;
    const unsigned char *base;
    int nesting; /* 0: the model's own graph, whose weights and nodes are kept */
};

static bool read_graph(struct reading *reading, struct protobuf rest);

/* A tensor whose place is all that matters. */
static bool check_tensor(struct reading *reading, struct protobuf bytes) {
    _cleanup_(weight_clear) struct onnx_weight weight = {0};
    return read_tensor(bytes, reading->base, &weight) &&
           (!weight.location || note_location(reading->file, weight.location));
}

/* An AttributeProto: name 1, i 3, t 5, g 6, tensors 10, graphs 11. */
static bool read_attribute(struct reading *reading, struct protobuf rest, struct onnx_node *node) {
    struct protobuf name = protobuf_of("", 0);
    bool good = true;
    for (struct protobuf_field field; good && rest.at < rest.end;) {
        good = protobuf_read(&rest, &field);
        bool bytes = good && field.wire == PROTOBUF_BYTES;
        if (bytes && field.number == 1)
            name = field.bytes;
        else if (good && field.number == 3 && protobuf_equals(name, "transB"))
            node->is_transposed_b = field.value != 0;
        else if (bytes && (field.number == 5 || field.number == 10))
            good = check_tensor(reading, field.bytes);
        else if (bytes && (field.number == 6 || field.number == 11)) {
            reading->nesting++;
            good = read_graph(reading, field.bytes);
            reading->nesting--;
        }
    }
    return good;
}

static bool read_scope(struct onnx_node *node, struct protobuf entry) {
    struct protobuf key, value;
    if (!onnx_read_entry(entry, &key, &value))
        return false;
    if (protobuf_equals(key, "pkg.torch.onnx.name_scopes"))
        onnx_set_text(&node->scope, value);
    return true;
}

static void add_input(struct onnx_node *node, struct protobuf name) {
    node->inputs = xgrown(node->inputs, node->input_count, sizeof *node->inputs);
    node->inputs[node->input_count++] = copy_text(name);
}

/* A NodeProto: input 1, output 2, name 3, op_type 4, attribute 5, metadata_props 9. */
static bool read_node(struct reading *reading, struct protobuf rest, struct onnx_node *node) {
    bool good = true;
    for (struct protobuf_field field; good && rest.at < rest.end;) {
        good = protobuf_read(&rest, &field);
        if (!good || field.wire != PROTOBUF_BYTES)
            continue;
        if (field.number == 1)
            add_input(node, field.bytes);
        else if (field.number == 2 && !node->output)
            node->output = copy_text(field.bytes);
        else if (field.number == 3)
            onnx_set_text(&node->name, field.bytes);
        else if (field.number == 4)
            onnx_set_text(&node->operator, field.bytes);
        else if (field.number == 5)
            good = read_attribute(reading, field.bytes, node);
        else if (field.number == 9)
            good = read_scope(node, field.bytes);
    }
    return good;
}

static void node_clear(struct onnx_node *node) {
    for (size_t i = 0; i < node->input_count; i++)
        free(node->inputs[i]);
    free(node->inputs);
    free(node->operator);
    free(node->name);
    free(node->scope);
    free(node->output);
}

/* ---- the graph ---- */

static bool add_node(struct reading *reading, struct protobuf bytes) {
    _cleanup_(node_clear) struct onnx_node node = {0};
    struct onnx_file *file = reading->file;
    if (!read_node(reading, bytes, &node))
        return false;
    if (reading->nesting > 0)
        return true;
    file->nodes = xgrown(file->nodes, file->node_count, sizeof *file->nodes);
    file->nodes[file->node_count++] = node;
    node = (struct onnx_node){0};
    return true;
}

static bool add_weight(struct reading *reading, struct protobuf bytes) {
    struct onnx_file *file = reading->file;
    if (reading->nesting > 0)
        return check_tensor(reading, bytes);
    file->weights = xgrown(file->weights, file->weight_count, sizeof *file->weights);
    struct onnx_weight *weight = &file->weights[file->weight_count++];
    *weight = (struct onnx_weight){0};
    return read_tensor(bytes, reading->base, weight) && weight->name &&
           (!weight->location || note_location(file, weight->location));
}

/* A SparseTensorProto: values 1, indices 2. */
static bool check_sparse(struct reading *reading, struct protobuf rest) {
    for (struct protobuf_field field; rest.at < rest.end;)
        if (!protobuf_read(&rest, &field) ||
            (field.number <= 2 && field.wire == PROTOBUF_BYTES && !check_tensor(reading, field.bytes)))
            return false;
    return true;
}

/* A GraphProto: node 1, initializer 5, sparse_initializer 15. */
static bool read_graph(struct reading *reading, struct protobuf rest) {
    bool good = reading->nesting <= NESTING_MAX;
    for (struct protobuf_field field; good && rest.at < rest.end;) {
        good = protobuf_read(&rest, &field);
        if (!good || field.wire != PROTOBUF_BYTES)
            continue;
        if (field.number == 1)
            good = add_node(reading, field.bytes);
        else if (field.number == 5)
            good = add_weight(reading, field.bytes);
        else if (field.number == 15)
            good = check_sparse(reading, field.bytes);
    }
    return good;
}

/* A FunctionProto: node 7. */
static bool read_function(struct reading *reading, struct protobuf rest) {
    reading->nesting++;
    bool good = true;
    for (struct protobuf_field field; good && rest.at < rest.end;) {
        good = protobuf_read(&rest, &field);
        if (good && field.number == 7 && field.wire == PROTOBUF_BYTES)
            good = add_node(reading, field.bytes);
    }
    reading->nesting--;
    return good;
}

/* A ModelProto: graph 7, functions 25. */
struct onnx_file *onnx_file_parse(const void *bytes, size_t length, const char *name, struct error *err) {
    _cleanup_onnx_file_ struct onnx_file *file = xnew(struct onnx_file);
    struct reading reading = {.file = file, .base = bytes};
    struct protobuf rest = protobuf_of(bytes, length);
    bool good = true, found = false;
    for (struct protobuf_field field; good && rest.at < rest.end;) {
        good = protobuf_read(&rest, &field);
        if (!good || field.wire != PROTOBUF_BYTES)
            continue;
        if (field.number == 7 && !found)
            good = found = read_graph(&reading, field.bytes);
        else if (field.number == 25)
            good = read_function(&reading, field.bytes);
    }
    if (good && found)
        return steal(file);
    error_set(err, ERR_MODEL_INVALID, "%s is no ONNX file that can be read, or names files outside its own folder",
              name);
    return NULL;
}

struct onnx_file *onnx_file_read(const char *path, struct error *err) {
    _cleanup_close_ int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (descriptor < 0 || fstat(descriptor, &info) != 0) {
        error_set_errno(err, errno == ENOENT ? ERR_MODEL_NOT_FOUND : ERR_IO, errno, "cannot read %s", path);
        return NULL;
    }
    if (!S_ISREG(info.st_mode) || info.st_size == 0) {
        error_set(err, ERR_MODEL_INVALID, "%s is no ONNX file", path);
        return NULL;
    }
    size_t length = (size_t)info.st_size;
    void *bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (bytes == MAP_FAILED) {
        error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
        return NULL;
    }
    struct onnx_file *file = onnx_file_parse(bytes, length, path, err);
    munmap(bytes, length);
    return file;
}

void onnx_file_free(struct onnx_file *file) {
    for (size_t i = 0; i < file->weight_count; i++)
        weight_clear(&file->weights[i]);
    for (size_t i = 0; i < file->node_count; i++)
        node_clear(&file->nodes[i]);
    for (size_t i = 0; i < file->location_count; i++)
        free(file->locations[i]);
    free(file->weights);
    free(file->nodes);
    free(file->locations);
    free(file);
}
