#include "model/session.h"

#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "model/graph_cache.h"
#include "model/onnx_file.h"
#include "model/replaced.h"
#include "model/runtime.h"

struct session {
    const OrtApi *ort;
    OrtSession *network;
    OrtMemoryInfo *memory;
    int input_count, output_count;
    struct tensor_shape inputs[SESSION_IO_MAX], outputs[SESSION_IO_MAX];
};

enum optimise { OPTIMISE, AS_IS };

static OrtSessionOptions *session_options(const OrtApi *ort, const struct device *device, struct error *err) {
    return runtime_options(ort, device->kind == DEVICE_CUDA ? device->index : RUNTIME_CPU, device->threads, err);
}

/* Loads `path`; with `save_to` the optimised graph is written there. */
static OrtSession *session_load(const char *path, const struct device *device, enum optimise optimise,
                                const char *save_to, struct error *err) {
    const OrtEnv *env;
    const OrtApi *ort = runtime_api(&env, err);
    OrtSessionOptions *options = ort ? session_options(ort, device, err) : NULL;
    if (!options)
        return NULL;
    OrtSession *network = NULL;
    GraphOptimizationLevel level = optimise == OPTIMISE ? ORT_ENABLE_ALL : ORT_DISABLE_ALL;
    bool done = runtime_passed(ort, ort->SetSessionGraphOptimizationLevel(options, level), ERR_MODEL_RUN, path, err);
    if (done && save_to) /* log errors only: the runtime would warn that such a graph is for this hardware, which the
                            key covers */
        done = runtime_passed(ort, ort->SetOptimizedModelFilePath(options, save_to), ERR_MODEL_RUN, path, err) &&
               runtime_passed(ort, ort->SetSessionLogSeverityLevel(options, ORT_LOGGING_LEVEL_ERROR), ERR_MODEL_RUN,
                              path, err);
    if (done && !runtime_passed(ort, ort->CreateSession(env, path, options, &network), ERR_MODEL_INVALID, path, err))
        network = NULL;
    ort->ReleaseSessionOptions(options);
    return network;
}

/* Loads `path` with other weights. */
static OrtSession *session_load_with(const char *path, const struct device *device,
                                     const struct session_weight *weights, size_t count, struct error *err) {
    const OrtEnv *env;
    const OrtApi *ort = runtime_api(&env, err);
    OrtSessionOptions *options = ort ? session_options(ort, device, err) : NULL;
    if (!options)
        return NULL;
    struct replaced replaced;
    OrtSession *network = NULL;
    bool done = replaced_prepare(ort, path, weights, count, options, &replaced, err);
    if (done && !runtime_passed(ort,
                                replaced.bytes ? ort->CreateSessionFromArray(env, replaced.bytes, replaced.length,
                                                                             options, &network)
                                               : ort->CreateSession(env, path, options, &network),
                                ERR_MODEL_INVALID, path, err))
        network = NULL;
    replaced_clear(&replaced);
    ort->ReleaseSessionOptions(options);
    return network;
}

/* Optimises and leaves the result in the cache. A cache that cannot be written (full, read-only) is no reason
 * to fail. */
static OrtSession *load_and_cache(const char *path, const struct device *device, const char *directory, const char *key,
                                  struct error *err) {
    struct error why = {0};
    _cleanup_free_ char *scratch =
        directory_make(directory, &why) ? directory_make_temporary(directory, "optimise", &why) : NULL;
    OrtSession *network = NULL;
    if (scratch) {
        _cleanup_free_ char *temporary = xasprintf("%s/graph.onnx", scratch);
        network = session_load(path, device, OPTIMISE, temporary, &why);
        bool kept = network && graph_cache_publish(directory, key, temporary, &why);
        tree_remove(scratch);
        if (kept)
            return network;
    }
    if (!network)
        network = session_load(path, device, OPTIMISE, NULL, err);
    if (network)
        log_write(NULL, LOG_WARN, "the optimised graph of %s is not cached: %s", path, why.message);
    return network;
}

static OrtSession *load_cached(const char *path, const struct device *device, const char *directory,
                               struct error *err) {
    char key[33];
    if (!graph_cache_key(path, device, key, err))
        return NULL;
    _cleanup_free_ char *cached = graph_cache_find(directory, key);
    struct error why;
    OrtSession *network = cached ? session_load(cached, device, AS_IS, NULL, &why) : NULL;
    if (network)
        return network;
    if (cached) {
        log_write(NULL, LOG_WARN, "the cached graph does not load, building it again: %s", why.message);
        unlink(cached);
    }
    return load_and_cache(path, device, directory, key, err);
}

static bool find_type(ONNXTensorElementDataType element, enum tensor_type *type) {
    for (int i = 0; i < TENSOR_TYPE_COUNT; i++)
        if (runtime_element((enum tensor_type)i) == element) {
            *type = (enum tensor_type)i;
            return true;
        }
    return false;
}

static bool describe_tensor(const OrtApi *ort, const OrtTypeInfo *type, struct tensor_shape *out, struct error *err) {
    const OrtTensorTypeAndShapeInfo *info = NULL;
    ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    size_t rank = 0;
    if (!runtime_passed(ort, ort->CastTypeInfoToTensorInfo(type, &info), ERR_MODEL_INVALID, out->name, err) ||
        (info && (!runtime_passed(ort, ort->GetTensorElementType(info, &element), ERR_MODEL_INVALID, out->name, err) ||
                  !runtime_passed(ort, ort->GetDimensionsCount(info, &rank), ERR_MODEL_INVALID, out->name, err))))
        return false;
    if (!find_type(element, &out->type))
        return error_set(err, ERR_MODEL_INVALID,
                         "%s has elements of ONNX's type %d; float32, float16, int32 and int64 are handled", out->name,
                         (int)element);
    if (rank > TENSOR_RANK_MAX)
        return error_set(err, ERR_MODEL_INVALID, "%s has %zu dimensions, at most %d are handled", out->name, rank,
                         TENSOR_RANK_MAX);
    out->rank = (int)rank;
    return runtime_passed(ort, ort->GetDimensions(info, out->dims, rank), ERR_MODEL_INVALID, out->name, err);
}

static bool describe_name(const OrtApi *ort, OrtAllocator *allocator, char *name, struct tensor_shape *out,
                          struct error *err) {
    int length = snprintf(out->name, sizeof out->name, "%s", name);
    if (!runtime_passed(ort, ort->AllocatorFree(allocator, name), ERR_MODEL_RUN, "tensor name", err))
        return false;
    return (size_t)length < sizeof out->name ||
           error_set(err, ERR_MODEL_INVALID, "the tensor name %.40s... is too long", out->name);
}

static bool describe_named(struct session *session, bool input, int index, struct tensor_shape *out,
                           struct error *err) {
    const OrtApi *ort = session->ort;
    OrtAllocator *allocator = NULL;
    char *name = NULL;
    if (!runtime_passed(ort, ort->GetAllocatorWithDefaultOptions(&allocator), ERR_MODEL_RUN, "allocator", err) ||
        !runtime_passed(ort,
                        (input ? ort->SessionGetInputName : ort->SessionGetOutputName)(session->network, (size_t)index,
                                                                                       allocator, &name),
                        ERR_MODEL_INVALID, "name", err) ||
        !describe_name(ort, allocator, name, out, err))
        return false;
    OrtTypeInfo *type = NULL;
    OrtStatus *status =
        (input ? ort->SessionGetInputTypeInfo : ort->SessionGetOutputTypeInfo)(session->network, (size_t)index, &type);
    if (!runtime_passed(ort, status, ERR_MODEL_INVALID, out->name, err))
        return false;
    bool done = describe_tensor(ort, type, out, err);
    ort->ReleaseTypeInfo(type);
    return done;
}

static bool describe_all(struct session *session, struct error *err) {
    const OrtApi *ort = session->ort;
    size_t inputs, outputs;
    if (!runtime_passed(ort, ort->SessionGetInputCount(session->network, &inputs), ERR_MODEL_INVALID, "inputs", err) ||
        !runtime_passed(ort, ort->SessionGetOutputCount(session->network, &outputs), ERR_MODEL_INVALID, "outputs", err))
        return false;
    if (inputs > SESSION_IO_MAX || outputs > SESSION_IO_MAX)
        return error_set(err, ERR_MODEL_INVALID, "%zu inputs and %zu outputs, at most %d are handled", inputs, outputs,
                         SESSION_IO_MAX);
    session->input_count = (int)inputs;
    session->output_count = (int)outputs;
    for (int i = 0; i < session->input_count; i++)
        if (!describe_named(session, true, i, &session->inputs[i], err))
            return false;
    for (int i = 0; i < session->output_count; i++)
        if (!describe_named(session, false, i, &session->outputs[i], err))
            return false;
    return true;
}

/* A graph whose weights lie beside the file is not cached: it may be too large for one file, and its name in the cache
 * would not change with them. */
static OrtSession *load_as_file(const char *path, const struct device *device, const char *cache_directory,
                                struct error *err) {
    _cleanup_onnx_file_ struct onnx_file *file = cache_directory ? onnx_file_read(path, err) : NULL;
    if (cache_directory && !file)
        return NULL;
    return file && file->location_count == 0 ? load_cached(path, device, cache_directory, err)
                                             : session_load(path, device, OPTIMISE, NULL, err);
}

/* Takes the network over. */
static struct session *session_of(OrtSession *network, const char *path, struct error *err) {
    _cleanup_session_ struct session *session = xnew(struct session);
    session->ort = runtime_api(NULL, err);
    session->network = network;
    if (!network ||
        !runtime_passed(session->ort,
                        session->ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &session->memory),
                        ERR_MODEL_RUN, path, err))
        return NULL;
    if (describe_all(session, err))
        return steal(session);
    error_wrap(err, "%s", path);
    return NULL;
}

static bool check_there(const char *path, struct error *err) {
    return access(path, R_OK) == 0 ||
           error_set(err, ERR_MODEL_NOT_FOUND, "there is no model file %s that can be read", path);
}

struct session *session_open(const char *path, const struct device *device, const char *cache_directory,
                             struct error *err) {
    return check_there(path, err) ? session_of(load_as_file(path, device, cache_directory, err), path, err) : NULL;
}

struct session *session_open_with(const char *path, const struct device *device, const struct session_weight *weights,
                                  size_t count, struct error *err) {
    return check_there(path, err) ? session_of(session_load_with(path, device, weights, count, err), path, err) : NULL;
}

void session_close(struct session *session) {
    if (session->network)
        session->ort->ReleaseSession(session->network);
    if (session->memory)
        session->ort->ReleaseMemoryInfo(session->memory);
    free(session);
}

int session_input_count(const struct session *session) { return session->input_count; }
int session_output_count(const struct session *session) { return session->output_count; }
const struct tensor_shape *session_input(const struct session *session, int index) { return &session->inputs[index]; }
const struct tensor_shape *session_output(const struct session *session, int index) { return &session->outputs[index]; }

const char *session_runtime_version(void) { return OrtGetApiBase()->GetVersionString(); }

/* Wraps the caller's memory in a value: no copy is made. */
static bool wrap_tensor(const struct session *session, const struct tensor *tensor, enum tensor_type type,
                        OrtValue **value, struct error *err) {
    size_t count = 1;
    for (int i = 0; i < tensor->rank; i++)
        count *= (size_t)tensor->dims[i];
    OrtStatus *status =
        session->ort->CreateTensorWithDataAsOrtValue(session->memory, tensor->data, count * tensor_type_bytes(type),
                                                     tensor->dims, (size_t)tensor->rank, runtime_element(type), value);
    return runtime_passed(session->ort, status, ERR_MODEL_RUN, "tensor", err);
}

static void release_values(const OrtApi *ort, OrtValue **values) {
    for (int i = 0; i < SESSION_IO_MAX; i++)
        if (values[i])
            ort->ReleaseValue(values[i]);
}

/* What one run asks for. */
struct request {
    int count;
    int outputs[SESSION_IO_MAX];      /* their indexes */
    OrtValue *values[SESSION_IO_MAX]; /* owned; where one is NULL the runtime allocates */
};

static bool session_answer(struct session *session, const struct tensor *inputs, struct request *request,
                           struct error *err) {
    const OrtApi *ort = session->ort;
    const char *input_names[SESSION_IO_MAX], *output_names[SESSION_IO_MAX];
    OrtValue *in[SESSION_IO_MAX] = {0};
    bool done = true;
    for (int i = 0; done && i < session->input_count; i++) {
        input_names[i] = session->inputs[i].name;
        done = wrap_tensor(session, &inputs[i], session->inputs[i].type, &in[i], err);
    }
    for (int i = 0; i < request->count; i++)
        output_names[i] = session->outputs[request->outputs[i]].name;
    done = done &&
           runtime_passed(ort,
                          ort->Run(session->network, NULL, input_names, (const OrtValue *const *)in,
                                   (size_t)session->input_count, output_names, (size_t)request->count, request->values),
                          ERR_MODEL_RUN, "inference failed", err);
    release_values(ort, in);
    return done;
}

bool session_run(struct session *session, const struct tensor *inputs, struct tensor *outputs, struct error *err) {
    struct request request = {0};
    bool done = true;
    for (int i = 0; done && i < session->output_count; i++) {
        if (!outputs[i].data)
            continue;
        request.outputs[request.count] = i;
        done = wrap_tensor(session, &outputs[i], session->outputs[i].type, &request.values[request.count++], err);
    }
    done = done && session_answer(session, inputs, &request, err);
    release_values(session->ort, request.values);
    return done;
}

static bool describe_value(const OrtApi *ort, const OrtValue *value, struct tensor_shape *out, struct error *err) {
    OrtTypeInfo *type = NULL;
    if (!runtime_passed(ort, ort->GetTypeInfo(value, &type), ERR_MODEL_RUN, out->name, err))
        return false;
    bool done = describe_tensor(ort, type, out, err);
    ort->ReleaseTypeInfo(type);
    return done;
}

bool session_probe(struct session *session, const struct tensor *inputs, struct tensor_shape *outputs,
                   struct error *err) {
    struct request request = {.count = session->output_count};
    for (int i = 0; i < request.count; i++)
        request.outputs[i] = i;
    bool done = session_answer(session, inputs, &request, err);
    for (int i = 0; done && i < session->output_count; i++) {
        outputs[i] = session->outputs[i];
        done = describe_value(session->ort, request.values[i], &outputs[i], err);
    }
    release_values(session->ort, request.values);
    return done;
}
