#include "worker/check.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "model/zoo.h"
#include "worker/nvml.h"

static const double tolerance = 0.02; /* of the largest value: reduced precision on the card stays well below */

bool check_device(const char *text, struct device *out, struct error *err) {
    const char *visible = getenv("NVIDIA_VISIBLE_DEVICES");
    bool promised = access("/dev/nvidiactl", F_OK) == 0 || access("/dev/nvidia0", F_OK) == 0 ||
                    (visible && visible[0] && strcmp(visible, "void") != 0 && strcmp(visible, "none") != 0);
    const char *wanted = strcmp(text, "auto") != 0 ? text : promised ? "cuda:0" : "cpu";
    char *end = NULL;
    long index = strncmp(wanted, "cuda:", 5) == 0 ? strtol(wanted + 5, &end, 10) : -1;
    *out = (struct device){.kind = end ? DEVICE_CUDA : DEVICE_CPU, .index = end ? (int)index : 0};
    bool good = end ? end > wanted + 5 && *end == '\0' && index >= 0 && index < 1024 : strcmp(wanted, "cpu") == 0;
    return good || error_set(err, ERR_USAGE, "\"%s\" is no device: use auto, cpu or cuda:N", text);
}

/* ---- the report ---- */

struct report {
    json_t *json, *checks;
    bool healthy;
};

static void add(struct report *report, const char *name, bool ok, const char *message) {
    json_array_append_new(report->checks, json_pack("{s:s, s:b, s:s}", "name", name, "ok", ok, "message", message));
    report->healthy = report->healthy && ok;
}

static void set_known(json_t *json, const char *name, int64_t value) {
    json_object_set_new(json, name, value == NVML_UNKNOWN ? json_null() : json_integer(value));
}

static int64_t megabytes(int64_t bytes) { return bytes < 0 ? bytes : bytes >> 20; }

/* ---- memory ---- */

static void check_memory(struct report *report, const struct check_options *options, int64_t total, int64_t left) {
    set_known(report->json, "memory_total_mb", megabytes(total));
    set_known(report->json, "memory_free_mb", megabytes(left));
    bool ok = left == NVML_UNKNOWN || megabytes(left) >= options->memory_mb;
    _cleanup_free_ char *message = ok ? xstrdup("enough")
                                      : xasprintf("only %lld MB are free, %lld are needed", (long long)megabytes(left),
                                                  (long long)options->memory_mb);
    add(report, "memory", ok, message);
}

static void check_own_memory(struct report *report, const struct check_options *options) {
    int64_t total = NVML_UNKNOWN, left = NVML_UNKNOWN;
    char line[256];
    long long kilobytes;
    _cleanup_fclose_ FILE *file = fopen("/proc/meminfo", "re");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "MemTotal: %lld", &kilobytes) == 1)
            total = kilobytes << 10;
        else if (sscanf(line, "MemAvailable: %lld", &kilobytes) == 1)
            left = kilobytes << 10;
    }
    check_memory(report, options, total, left);
}

/* ---- the card ---- */

/* An error that was corrected, or a reset that is due, costs no result; these do, or have. */
static void check_record(struct report *report, const struct nvml_state *state) {
    set_known(report->json, "temperature", state->temperature);
    set_known(report->json, "ecc_uncorrected", state->ecc_uncorrected);
    set_known(report->json, "ecc_corrected", state->ecc_corrected);
    set_known(report->json, "remap_failed", state->remap_failed);
    set_known(report->json, "remap_pending", state->remap_pending);
    set_known(report->json, "retire_pending", state->retire_pending);
    bool errors = state->ecc_uncorrected > 0, failed = state->remap_failed > 0;
    _cleanup_free_ char *message =
        failed   ? xstrdup("the card has no spare memory rows left: replace it")
        : errors ? xasprintf("%lld uncorrected memory errors since the driver was loaded: reset the card",
                             (long long)state->ecc_uncorrected)
                 : xstrdup(state->ecc_uncorrected == 0 ? "no uncorrected error" : "the driver does not count errors");
    add(report, "ecc", !errors && !failed, message);
}

static struct nvml *check_card(struct report *report, const struct check_options *options) {
    struct error err;
    struct nvml_state state;
    struct nvml *nvml = nvml_open(options->device.index, &err);
    add(report, "driver", nvml, nvml ? "answers" : err.message);
    if (!nvml)
        return NULL;
    nvml_read(nvml, &state);
    json_object_set_new(report->json, "driver", json_string(state.driver));
    json_object_set_new(report->json, "name", json_string(state.name));
    json_object_set_new(report->json, "uuid", json_string(state.uuid));
    check_memory(report, options, state.memory_total, state.memory_free);
    check_record(report, &state);
    return nvml;
}

static void check_xid(struct report *report, struct nvml *nvml) {
    int64_t xid = nvml_last_xid(nvml);
    set_known(report->json, "xid", xid);
    _cleanup_free_ char *message = xid > 0 ? xasprintf("critical error %lld (XID) while a network ran", (long long)xid)
                                           : xstrdup(xid == 0 ? "none" : "the driver does not tell");
    add(report, "xid", xid <= 0, message);
}

/* ---- the inference ---- */

/* Every tensor of one network. */
struct tensors {
    struct tensor at[SESSION_IO_MAX];
};

static void tensors_free(struct tensors *tensors) {
    for (int i = 0; i < SESSION_IO_MAX; i++)
        free(tensors->at[i].data);
}

/* A tensor of that shape, free dimensions 1, filled with a fixed pattern; how many values. */
static size_t make_tensor(const struct tensor_shape *shape, struct tensor *out) {
    size_t count = 1;
    out->rank = shape->rank;
    for (int i = 0; i < shape->rank; i++) {
        out->dims[i] = MAX(shape->dims[i], 1);
        count *= (size_t)out->dims[i];
    }
    out->data = xnew_array(float, count);
    for (size_t i = 0; i < count; i++)
        out->data[i] = (float)(i * 2654435761U % 1024) / 1024;
    return count;
}

/* Runs the network on the pattern; its first output, which the caller frees. */
static float *run_network(const char *path, const struct device *device, size_t *count, struct error *err) {
    _cleanup_(tensors_free) struct tensors inputs = {0}, outputs = {0};
    struct tensor_shape shapes[SESSION_IO_MAX];
    _cleanup_session_ struct session *session = session_open(path, device, NULL, err);
    if (!session)
        return NULL;
    for (int i = 0; i < session_input_count(session); i++)
        make_tensor(session_input(session, i), &inputs.at[i]);
    if (!session_probe(session, inputs.at, shapes, err))
        return NULL;
    for (int i = session_output_count(session) - 1; i >= 0; i--)
        *count = make_tensor(&shapes[i], &outputs.at[i]);
    return session_run(session, inputs.at, outputs.at, err) ? steal(outputs.at[0].data) : NULL;
}

/* How far apart two results are, of the largest value; NAN when one is no number. */
static double difference(const float *a, const float *b, size_t count) {
    double largest = 0, apart = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i]))
            return NAN;
        largest = fmax(largest, fabs((double)b[i]));
        apart = fmax(apart, fabs((double)a[i] - (double)b[i]));
    }
    return largest > 0 ? apart / largest : NAN;
}

/* Twice on the CPU when that is the device: what it computes must at least be the same again. */
static bool check_inference(struct report *report, const struct check_options *options, const char *path,
                            struct error *err) {
    const struct device cpu = {.kind = DEVICE_CPU, .threads = 1};
    struct error why;
    size_t count, again;
    _cleanup_free_ float *right = run_network(path, &cpu, &count, err);
    if (!right)
        return error_wrap(err, "on the CPU");
    int64_t started = clock_monotonic_ns(clock_system());
    _cleanup_free_ float *result = run_network(path, &options->device, &again, &why);
    double apart = result && again == count ? difference(result, right, count) : NAN;
    json_object_set_new(report->json, "inference_ms",
                        json_integer((clock_monotonic_ns(clock_system()) - started) / 1000000));
    bool ok = apart <= tolerance;
    _cleanup_free_ char *message =
        !result ? xstrdup(why.message)
        : ok    ? xstrdup("right")
                : xasprintf("the result differs from the CPU's by %.0f %% of the largest value", apart * 100);
    add(report, "inference", ok, message);
    return true;
}

json_t *check_machine(const struct check_options *options, struct error *err) {
    _cleanup_zoo_ struct zoo *zoo = zoo_open(options->manifests, options->models, err);
    _cleanup_free_ char *path = zoo ? zoo_file(zoo, ZOO_MESH, err) : NULL;
    if (!path)
        return NULL;
    bool card = options->device.kind == DEVICE_CUDA;
    _cleanup_free_ char *device = card ? xasprintf("cuda:%d", options->device.index) : xstrdup("cpu");
    _cleanup_json_ json_t *json = json_pack("{s:s}", "device", device), *checks = json_array();
    struct report report = {json, checks, true};
    _cleanup_nvml_ struct nvml *nvml = card ? check_card(&report, options) : NULL;
    if (!card)
        check_own_memory(&report, options);
    if ((!card || nvml) && !check_inference(&report, options, path, err))
        return NULL;
    if (nvml)
        check_xid(&report, nvml);
    json_object_set_new(json, "healthy", json_boolean(report.healthy));
    json_object_set(json, "checks", checks);
    return steal(json);
}
