#include "model/inspect.h"

#include "base/memory.h"
#include "model/bind.h"
#include "model/onnx_file.h"

enum { FREE_DETECT_SIZE = 640, FREE_ENHANCE_SIZE = 16 };

static struct tensor tensor_of_zeros(const struct tensor_shape *shape, int free_size) {
    struct tensor tensor = {.rank = shape->rank};
    size_t count = 1;
    for (int i = 0; i < shape->rank; i++) {
        tensor.dims[i] = shape->dims[i] > 0 ? shape->dims[i] : i == 0 ? 1 : free_size;
        count *= (size_t)tensor.dims[i];
    }
    tensor.data = xnew_array(float, count);
    return tensor;
}

/* Fills `outputs` with what comes out for inputs of zeros. */
static bool inspect_probe(struct session *session, const struct binding *binding, struct tensor_shape *outputs,
                          struct error *err) {
    struct tensor inputs[SESSION_IO_MAX] = {0};
    int size = binding->kind == NETWORK_ENHANCE ? FREE_ENHANCE_SIZE : FREE_DETECT_SIZE;
    for (int i = 0; i < session_input_count(session); i++)
        inputs[i] = tensor_of_zeros(session_input(session, i), size);
    bool done = session_probe(session, inputs, outputs, err);
    for (int i = 0; i < session_input_count(session); i++)
        free(inputs[i].data);
    return done;
}

static bool describe_scale(const struct tensor_shape *output, json_t *contract, struct error *err) {
    int64_t height = output->dims[2], width = output->dims[3];
    if (height % FREE_ENHANCE_SIZE != 0 || height != width)
        return error_set(err, ERR_MODEL_INVALID, "a picture of %dx%d becomes %lldx%lld: no whole scale",
                         FREE_ENHANCE_SIZE, FREE_ENHANCE_SIZE, (long long)width, (long long)height);
    json_object_set_new(contract, "scale", json_integer(height / FREE_ENHANCE_SIZE));
    return true;
}

/* The manifest has one file's hash, so nobody would notice when weights that lie elsewhere change. */
static bool check_is_whole(const char *path, struct error *err) {
    _cleanup_onnx_file_ struct onnx_file *file = onnx_file_read(path, err);
    if (!file)
        return false;
    return file->location_count == 0 ||
           error_set(err, ERR_MODEL_INVALID, "%s keeps weights in another file, %s; save the model as one file", path,
                     file->locations[0]);
}

json_t *inspect_file(const char *role, const char *path, struct error *err) {
    struct device cpu = {.kind = DEVICE_CPU};
    struct binding binding;
    struct tensor_shape outputs[SESSION_IO_MAX];
    _cleanup_session_ struct session *session = check_is_whole(path, err) ? session_open(path, &cpu, NULL, err) : NULL;
    if (!session)
        return NULL;
    struct signature signature = signature_of(session);
    if (!bind_role(role, &signature, &binding, err) || !inspect_probe(session, &binding, outputs, err))
        return NULL;
    signature.outputs = outputs;
    if (!bind_role(role, &signature, &binding, err))
        return NULL;
    _cleanup_json_ json_t *contract = json_object();
    if (binding.kind == NETWORK_ENHANCE && !describe_scale(&outputs[0], contract, err))
        return NULL;
    if (binding.kind == NETWORK_MESH) /* MediaPipe's own file ends before the sigmoid */
        json_object_set_new(contract, "presence", json_string("logit"));
    return steal(contract);
}
