#include "model/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/onnx_file.h"
#include "model/runtime.h"

enum { HOPS_MAX = 8 }; /* between a weight and its user */

struct modules {
    char *path, *folder; /* of the ONNX file */
    struct onnx_file *file;
    struct module *modules;
    const struct onnx_weight **weights; /* one a module */
    size_t count, shared;
};

size_t modules_count(const struct modules *modules) { return modules->count; }
const struct module *modules_get(const struct modules *modules, size_t index) { return &modules->modules[index]; }
size_t modules_shared(const struct modules *modules) { return modules->shared; }
const char *modules_file(const struct modules *modules, size_t index) {
    return index < modules->file->location_count ? modules->file->locations[index] : NULL;
}
size_t module_bytes(const struct module *module) {
    return (size_t)(module->rows * module->columns) * tensor_type_bytes(module->weight.type);
}

/* ---- names ---- */

/* "/down_blocks.1/attentions.0/to_q/MatMul": what TorchScript's exporter calls a node. Caller frees; NULL: no path. */
static char *path_of_name(const char *name) {
    const char *last = name && name[0] == '/' ? strrchr(name, '/') : NULL;
    if (!last || last == name)
        return NULL;
    char *path = xstrndup(name + 1, (size_t)(last - name - 1));
    for (char *slash = path; (slash = strchr(slash, '/'));)
        *slash = '.';
    return path;
}

/* "['', 'mid_block', 'mid_block.attentions.0', 'linear']": the last but one of the newer exporter's scopes. */
static char *path_of_scope(const char *scope) {
    const char *end = NULL;
    for (const char *at = scope; at && (at = strstr(at, "', '")); at++)
        end = at;
    const char *quote = end ? memrchr(scope, '\'', (size_t)(end - scope)) : NULL;
    return quote && end - quote > 1 ? xstrndup(quote + 1, (size_t)(end - quote - 1)) : NULL;
}

/* A weight that kept its name says its module best: a node's path lacks modules whose parts are called one by one. */
static char *path_of_weight(const char *name) {
    static const char end[] = ".weight";
    size_t length = strlen(name), tail = strlen(end);
    return length > tail && strcmp(name + length - tail, end) == 0 ? xstrndup(name, length - tail) : NULL;
}

static char *module_path(const struct onnx_node *node, const struct onnx_weight *weight) {
    char *path = path_of_weight(weight->name);
    path = path ? path : path_of_scope(node->scope);
    return path ? path : path_of_name(node->name);
}

/* ---- who uses which weight ---- */

struct user {
    char *path; /* of the module; owned; NULL: none, or no use of a module's kind */
    bool transposed, used, shared;
};

struct graph {
    const struct onnx_file *file;
    json_t *weights, *makers; /* name: index of the weight; of the node whose output it is */
    struct user *users;       /* one a weight */
};

static void graph_clear(struct graph *graph) {
    json_decref(graph->weights);
    json_decref(graph->makers);
    for (size_t i = 0; graph->users && i < graph->file->weight_count; i++)
        free(graph->users[i].path);
    free(graph->users);
}

static void graph_begin(struct graph *graph, const struct onnx_file *file) {
    graph->file = file;
    graph->weights = json_object();
    graph->makers = json_object();
    graph->users = xnew_array(struct user, file->weight_count + 1);
    for (size_t i = 0; i < file->weight_count; i++)
        json_object_set_new(graph->weights, file->weights[i].name, json_integer((json_int_t)i));
    for (size_t i = 0; i < file->node_count; i++)
        if (file->nodes[i].output)
            json_object_set_new(graph->makers, file->nodes[i].output, json_integer((json_int_t)i));
}

static bool passes_on(const struct onnx_node *node) {
    return strcmp(node->operator, "Transpose") == 0 || strcmp(node->operator, "Cast") == 0 ||
           strcmp(node->operator, "Identity") == 0;
}

/* The weight that becomes the tensor `name`, by way of nodes that pass it on; -1: there is none. */
static int64_t graph_trace(const struct graph *graph, const char *name, bool *transposed) {
    for (int hops = 0; name && hops < HOPS_MAX; hops++) {
        int64_t weight = json_get_integer(graph->weights, name, -1), maker = json_get_integer(graph->makers, name, -1);
        if (weight >= 0)
            return weight;
        const struct onnx_node *node = maker >= 0 ? &graph->file->nodes[maker] : NULL;
        if (!node || !passes_on(node) || node->input_count != 1)
            return -1;
        *transposed ^= node->operator[0] == 'T';
        name = node->inputs[0];
    }
    return -1;
}

/* Whether the node takes its second input as a linear layer or convolution takes its weight; *transposed then becomes
 * how that lies. */
static bool is_module_use(const struct onnx_node *node, const struct onnx_weight *weight, bool *transposed) {
    if (strcmp(node->operator, "Conv") == 0)
        return !*transposed && weight->rank >= 3;
    bool is_product = strcmp(node->operator, "MatMul") == 0, is_gemm = strcmp(node->operator, "Gemm") == 0;
    *transposed ^= is_product || !node->is_transposed_b;
    return (is_product || is_gemm) && weight->rank == 2;
}

static void note_use(struct graph *graph, const struct onnx_node *node, size_t input) {
    bool transposed = false;
    int64_t index = graph_trace(graph, node->inputs[input], &transposed);
    if (index < 0)
        return;
    const struct onnx_weight *weight = &graph->file->weights[index];
    struct user *user = &graph->users[index];
    bool is_module = input == 1 && is_module_use(node, weight, &transposed);
    _cleanup_free_ char *path = is_module ? module_path(node, weight) : NULL;
    bool is_same = user->used && path && user->path && strcmp(path, user->path) == 0 && transposed == user->transposed;
    user->shared |= user->used && !is_same;
    user->used = true;
    if (path && !user->path) {
        user->path = steal(path);
        user->transposed = transposed;
    }
}

static void note_uses(struct graph *graph) {
    for (size_t i = 0; i < graph->file->node_count; i++) {
        const struct onnx_node *node = &graph->file->nodes[i];
        for (size_t input = 0; node->operator&& !passes_on(node) && input < node->input_count; input++)
            note_use(graph, node, input);
    }
}

/* ---- the table ---- */

/* False for what cannot be changed: no float type, no bytes of its shape. */
static bool describe_weight(const struct onnx_weight *weight, struct session_weight *out) {
    enum tensor_type type = weight->type == (int)runtime_element(TENSOR_FLOAT16) ? TENSOR_FLOAT16 : TENSOR_FLOAT32;
    if (weight->type != (int)runtime_element(type) || weight->rank > TENSOR_RANK_MAX)
        return false;
    *out = (struct session_weight){.name = weight->name, .type = type, .rank = weight->rank};
    int64_t bytes = (int64_t)tensor_type_bytes(out->type);
    for (int i = 0; i < weight->rank; i++) {
        out->dims[i] = weight->dims[i];
        if (weight->dims[i] <= 0 || __builtin_mul_overflow(bytes, weight->dims[i], &bytes))
            return false;
    }
    return weight->size == (uint64_t)bytes || (weight->location && weight->size == 0);
}

struct weight_sum modules_sum(const struct modules *modules) {
    struct weight_sum sum = {0, 0};
    for (size_t i = 0; i < modules->file->weight_count; i++) {
        struct session_weight weight;
        int64_t numbers = 1;
        if (!describe_weight(&modules->file->weights[i], &weight))
            continue;
        for (int k = 0; k < weight.rank; k++)
            numbers *= weight.dims[k];
        int64_t bytes = numbers * (int64_t)tensor_type_bytes(weight.type);
        if (bytes > INT64_MAX / 2 - sum.bytes) /* a file that says so of weights beside it */
            break;
        sum.numbers += numbers;
        sum.bytes += bytes;
    }
    return sum;
}

static void add_module(struct modules *modules, const char *prefix, const struct onnx_weight *weight,
                       const struct user *user) {
    struct module module = {.transposed = user->transposed};
    if (!describe_weight(weight, &module.weight))
        return;
    int64_t first = weight->dims[0], rest = 1;
    for (int i = 1; i < weight->rank; i++)
        rest *= weight->dims[i];
    module.rows = user->transposed ? rest : first;
    module.columns = user->transposed ? first : rest;
    module.name = xasprintf("%s.%s", prefix, user->path);
    modules->weights = xgrown(modules->weights, modules->count, sizeof *modules->weights);
    modules->modules = xgrown(modules->modules, modules->count, sizeof *modules->modules);
    modules->weights[modules->count] = weight;
    modules->modules[modules->count++] = module;
}

static void build_table(struct modules *modules, const char *prefix) {
    _cleanup_(graph_clear) struct graph graph = {0};
    graph_begin(&graph, modules->file);
    note_uses(&graph);
    for (size_t i = 0; i < modules->file->weight_count; i++) {
        if (graph.users[i].path && graph.users[i].shared)
            modules->shared++;
        else if (graph.users[i].path)
            add_module(modules, prefix, &modules->file->weights[i], &graph.users[i]);
    }
}

struct modules *modules_open(const char *path, const char *prefix, struct error *err) {
    _cleanup_modules_ struct modules *modules = xnew(struct modules);
    const char *slash = strrchr(path, '/');
    modules->path = xstrdup(path);
    modules->folder = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
    modules->file = onnx_file_read(path, err);
    if (!modules->file)
        return NULL;
    build_table(modules, prefix);
    return steal(modules);
}

void modules_close(struct modules *modules) {
    for (size_t i = 0; i < modules->count; i++)
        free(modules->modules[i].name);
    free(modules->modules);
    free(modules->weights);
    onnx_file_free_cleanup(&modules->file);
    free(modules->folder);
    free(modules->path);
    free(modules);
}

bool modules_read(const struct modules *modules, size_t index, void *out, struct error *err) {
    const struct onnx_weight *weight = modules->weights[index];
    _cleanup_free_ char *path =
        weight->location ? xasprintf("%s/%s", modules->folder, weight->location) : xstrdup(modules->path);
    size_t length = module_bytes(&modules->modules[index]);
    _cleanup_close_ int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
    for (size_t done = 0; done < length;) {
        ssize_t got = pread(file, (char *)out + done, length - done, (off_t)(weight->offset + done));
        if (got < 0 && errno != EINTR)
            return error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
        if (got == 0)
            return error_set(err, ERR_MODEL_INVALID, "%s ends inside the weight of %s: it was cut off", path,
                             modules->modules[index].name);
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}
