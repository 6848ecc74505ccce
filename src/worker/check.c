#include "worker/check.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "executor/fence.h"
#include "model/zoo.h"

static const double tolerance = 0.02; /* of the largest value */

bool check_device(const char *text, struct device *out, struct error *err) {
    const char *visible = getenv("NVIDIA_VISIBLE_DEVICES");
    bool promised = access("/dev/nvidiactl", F_OK) == 0 || access("/dev/nvidia0", F_OK) == 0 ||
                    (visible && visible[0] && strcmp(visible, "void") != 0 && strcmp(visible, "none") != 0);
    if (strcmp(text, "auto") == 0)
        text = promised ? "cuda:0" : "cpu";
    *out = (struct device){.kind = DEVICE_CPU};
    if (strcmp(text, "cpu") == 0)
        return true;
    char *end = NULL;
    long index = strncmp(text, "cuda:", 5) == 0 ? strtol(text + 5, &end, 10) : -1;
    if (!end || end == text + 5 || *end != '\0' || index < 0 || index >= 1024)
        return error_set(err, ERR_USAGE, "\"%s\" is no device: use auto, cpu or cuda:N", text);
    *out = (struct device){.kind = DEVICE_CUDA, .index = (int)index};
    return true;
}

/* ---- the report ---- */

struct report {
    json_t *json, *checks;
    bool healthy;
};

static void report_add(struct report *report, const char *name, bool ok, const char *message) {
    json_array_append_new(report->checks, json_pack("{s:s, s:b, s:s}", "name", name, "ok", ok, "message", message));
    report->healthy = report->healthy && ok;
}

/* null when the driver does not know it. */
static void report_set(struct report *report, const char *name, int64_t value) {
    json_object_set_new(report->json, name, value == NVML_UNKNOWN ? json_null() : json_integer(value));
}

static int64_t megabytes(int64_t bytes) { return bytes < 0 ? bytes : bytes >> 20; }

/* ---- verdicts ---- */

bool check_judge_memory(int64_t left, int64_t least_mb, char **message) {
    bool ok = left == NVML_UNKNOWN || megabytes(left) >= least_mb;
    *message =
        ok ? xstrdup("enough")
           : xasprintf("only %lld MB are free, %lld are needed", (long long)megabytes(left), (long long)least_mb);
    return ok;
}

bool check_judge_record(const struct nvml_state *state, char **message) {
    bool failed = state->remap_failed > 0, errors = state->ecc_uncorrected > 0;
    if (failed)
        *message = xstrdup("the card has no spare memory rows left: replace it");
    else if (errors)
        *message = xasprintf("%lld uncorrected memory errors since the driver was loaded: reset the card",
                             (long long)state->ecc_uncorrected);
    else
        *message = xstrdup(state->ecc_uncorrected == 0 ? "no uncorrected error" : "the driver does not count errors");
    return !failed && !errors;
}

/* How far apart two results are, as a part of the largest right value; NAN when one is no number. */
static double result_difference(const float *result, const float *right, size_t count) {
    double largest = 0, apart = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(result[i]) || !isfinite(right[i]))
            return NAN;
        largest = fmax(largest, fabs((double)right[i]));
        apart = fmax(apart, fabs((double)result[i] - (double)right[i]));
    }
    return largest > 0 ? apart / largest : NAN;
}

bool check_judge_result(const float *result, const float *right, size_t count, char **message) {
    double apart = result_difference(result, right, count);
    bool ok = apart <= tolerance; /* NAN is not */
    *message = ok ? xstrdup("right")
                  : xasprintf("the result differs from the CPU's by %.0f %% of the largest value", apart * 100);
    return ok;
}

/* ---- memory ---- */

static void report_memory(struct report *report, const struct check_options *options, int64_t total, int64_t left) {
    _cleanup_free_ char *message = NULL;
    report_set(report, "memory_total_mb", megabytes(total));
    report_set(report, "memory_free_mb", megabytes(left));
    bool ok = check_judge_memory(left, options->memory_mb, &message);
    report_add(report, "memory", ok, message);
}

static void report_own_memory(struct report *report, const struct check_options *options) {
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
    report_memory(report, options, total, left);
}

/* ---- the card ---- */

static void report_record(struct report *report, const struct nvml_state *state) {
    _cleanup_free_ char *message = NULL;
    report_set(report, "temperature", state->temperature);
    report_set(report, "ecc_uncorrected", state->ecc_uncorrected);
    report_set(report, "ecc_corrected", state->ecc_corrected);
    report_set(report, "remap_failed", state->remap_failed);
    report_set(report, "remap_pending", state->remap_pending);
    report_set(report, "retire_pending", state->retire_pending);
    bool ok = check_judge_record(state, &message);
    report_add(report, "ecc", ok, message);
}

/* NULL when the driver does not work; the caller closes it. */
static struct nvml *report_card(struct report *report, const struct check_options *options) {
    struct error err;
    struct nvml_state state;
    struct nvml *nvml = nvml_open(options->device.index, &err);
    report_add(report, "driver", nvml, nvml ? "answers" : err.message);
    if (!nvml)
        return NULL;
    nvml_read(nvml, &state);
    json_object_set_new(report->json, "driver", json_string(state.driver));
    json_object_set_new(report->json, "name", json_string(state.name));
    json_object_set_new(report->json, "uuid", json_string(state.uuid));
    report_memory(report, options, state.memory_total, state.memory_free);
    report_record(report, &state);
    return nvml;
}

static void report_xid(struct report *report, struct nvml *nvml) {
    int64_t xid = nvml_last_xid(nvml);
    report_set(report, "xid", xid);
    _cleanup_free_ char *message = xid > 0 ? xasprintf("critical error %lld (XID) while a network ran", (long long)xid)
                                           : xstrdup(xid == 0 ? "none" : "the driver does not know");
    report_add(report, "xid", xid <= 0, message);
}

/* ---- the inference ---- */

/* The inputs or the outputs of one network. */
struct tensors {
    struct tensor at[SESSION_IO_MAX];
};

static void tensors_free(struct tensors *tensors) {
    for (int i = 0; i < SESSION_IO_MAX; i++)
        free(tensors->at[i].data);
}

/* Makes a tensor of that shape, free dimensions 1, filled with a fixed pattern; returns how many values it has. */
static size_t tensor_make(const struct tensor_shape *shape, struct tensor *out) {
    size_t count = 1;
    out->rank = shape->rank;
    for (int i = 0; i < shape->rank; i++) {
        out->dims[i] = MAX(shape->dims[i], 1);
        count *= (size_t)out->dims[i];
    }
    float *data = out->data = xnew_array(float, count);
    for (size_t i = 0; i < count; i++)
        data[i] = (float)(i * 2654435761U % 1024) / 1024;
    return count;
}

/* Runs the network on the pattern; returns its first output, which the caller frees. */
static float *check_infer(const char *path, const struct device *device, size_t *count, struct error *err) {
    _cleanup_(tensors_free) struct tensors inputs = {0}, outputs = {0};
    struct tensor_shape shapes[SESSION_IO_MAX];
    _cleanup_session_ struct session *session = session_open(path, device, NULL, err);
    if (!session)
        return NULL;
    for (int i = 0; i < session_input_count(session); i++)
        tensor_make(session_input(session, i), &inputs.at[i]);
    if (!session_probe(session, inputs.at, shapes, err))
        return NULL;
    for (int i = session_output_count(session) - 1; i >= 0; i--)
        *count = tensor_make(&shapes[i], &outputs.at[i]);
    return session_run(session, inputs.at, outputs.at, err) ? steal(outputs.at[0].data) : NULL;
}

/* Runs twice on the CPU when that is the device: what it computes must at least be the same again. */
static bool report_inference(struct report *report, const struct check_options *options, const char *path,
                             struct error *err) {
    const struct device cpu = {.kind = DEVICE_CPU, .threads = 1};
    struct error why;
    size_t count, again;
    _cleanup_free_ float *right = check_infer(path, &cpu, &count, err);
    if (!right)
        return error_wrap(err, "on the CPU");
    int64_t started = clock_monotonic_ns(clock_system());
    _cleanup_free_ float *result = check_infer(path, &options->device, &again, &why);
    json_object_set_new(report->json, "inference_ms",
                        json_integer((clock_monotonic_ns(clock_system()) - started) / 1000000));
    _cleanup_free_ char *message = NULL;
    bool ok = false;
    if (!result)
        message = xstrdup(why.message);
    else if (again != count)
        message = xasprintf("the result has %zu values, the CPU's has %zu", again, count);
    else
        ok = check_judge_result(result, right, count, &message);
    report_add(report, "inference", ok, message);
    return true;
}

/* Not a verdict: a kernel that cannot hold all of a fence does its jobs all the same. */
static void report_fence(struct report *report) {
    struct fence_report held;
    fence_probe(&held);
    json_object_set_new(report->json, "fence", fence_report_json(&held));
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
    report_fence(&report);
    _cleanup_nvml_ struct nvml *nvml = card ? report_card(&report, options) : NULL;
    if (!card)
        report_own_memory(&report, options);
    if ((!card || nvml) && !report_inference(&report, options, path, err))
        return NULL;
    if (nvml)
        report_xid(&report, nvml);
    json_object_set_new(json, "healthy", json_boolean(report.healthy));
    json_object_set(json, "checks", checks);
    return steal(json);
}
