#include "worker/nvml.h"

#include <dlfcn.h>
#include <string.h>

#include "base/memory.h"

/* From nvml.h, by value; the ABI is stable. */
enum { EVENT_XID = 8, ERROR_UNCORRECTED = 1, ERROR_CORRECTED = 0, COUNTER_VOLATILE = 0, SENSOR_GPU = 0 };
typedef void *nvml_handle;
struct nvml_memory {
    unsigned long long total, free, used;
};
struct nvml_utilization {
    unsigned gpu, memory;
};
struct nvml_event {
    nvml_handle device;
    unsigned long long type, data;
    unsigned instance, compute_instance;
};

struct nvml {
    void *library;
    nvml_handle device, events;
    int64_t xid;
};

/* The address of a function, under its first name that the driver has; NULL when it has none. */
static void *nvml_find(const struct nvml *nvml, const char *name, const char *older) {
    void *function = dlsym(nvml->library, name);
    return function || !older ? function : dlsym(nvml->library, older);
}

/* Calls a function by name with arguments of these types; its status, -1 when the driver lacks it. */
#define CALL(nvml, name, older, types, ...)                                                                            \
    ({                                                                                                                 \
        int(*function_) types = (int(*) types)nvml_find(nvml, name, older);                                            \
        function_ ? function_(__VA_ARGS__) : -1;                                                                       \
    })

static const char *nvml_explain(const struct nvml *nvml, int status) {
    const char *(*text)(int) = (const char *(*)(int))nvml_find(nvml, "nvmlErrorString", NULL);
    return status < 0 ? "the function is missing" : text ? text(status) : "unknown error";
}

static bool nvml_find_card(struct nvml *nvml, int index, struct error *err) {
    unsigned count = 0;
    int status = CALL(nvml, "nvmlInit_v2", "nvmlInit", (void));
    if (status != 0)
        return error_set(err, ERR_MODEL_DEVICE, "the NVIDIA driver does not start: %s", nvml_explain(nvml, status));
    status = CALL(nvml, "nvmlDeviceGetCount_v2", "nvmlDeviceGetCount", (unsigned *), &count);
    if (status != 0 || index >= (int)count)
        return error_set(err, ERR_MODEL_DEVICE, "there is no card %d, the driver shows %u", index, count);
    status = CALL(nvml, "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex", (unsigned, nvml_handle *),
                  (unsigned)index, &nvml->device);
    return status == 0 ||
           error_set(err, ERR_MODEL_DEVICE, "card %d cannot be used: %s", index, nvml_explain(nvml, status));
}

static void listen_for_errors(struct nvml *nvml) {
    if (CALL(nvml, "nvmlEventSetCreate", NULL, (nvml_handle *), &nvml->events) != 0)
        nvml->events = NULL;
    else if (CALL(nvml, "nvmlDeviceRegisterEvents", NULL, (nvml_handle, unsigned long long, nvml_handle), nvml->device,
                  (unsigned long long)EVENT_XID, nvml->events) != 0)
        CALL(nvml, "nvmlEventSetFree", NULL, (nvml_handle), steal(nvml->events));
}

struct nvml *nvml_open(int index, struct error *err) {
    _cleanup_nvml_ struct nvml *nvml = xnew(struct nvml);
    nvml->library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!nvml->library) {
        error_set(err, ERR_MODEL_DEVICE, "no NVIDIA driver is installed (libnvidia-ml.so.1 cannot be loaded)");
        return NULL;
    }
    if (!nvml_find_card(nvml, index, err))
        return NULL;
    listen_for_errors(nvml);
    return steal(nvml);
}

void nvml_close(struct nvml *nvml) {
    if (nvml->events)
        CALL(nvml, "nvmlEventSetFree", NULL, (nvml_handle), nvml->events);
    if (nvml->library) {
        CALL(nvml, "nvmlShutdown", NULL, (void));
        dlclose(nvml->library);
    }
    free(nvml);
}

static int64_t ecc_errors(struct nvml *nvml, int type) {
    unsigned long long count = 0;
    int status = CALL(nvml, "nvmlDeviceGetTotalEccErrors", NULL, (nvml_handle, int, int, unsigned long long *),
                      nvml->device, type, COUNTER_VOLATILE, &count);
    return status == 0 ? (int64_t)count : NVML_UNKNOWN;
}

static void nvml_read_rows(struct nvml *nvml, struct nvml_state *state) {
    unsigned corrected = 0, uncorrected = 0, pending = 0, failed = 0;
    int retiring = 0;
    if (CALL(nvml, "nvmlDeviceGetRemappedRows", NULL, (nvml_handle, unsigned *, unsigned *, unsigned *, unsigned *),
             nvml->device, &corrected, &uncorrected, &pending, &failed) == 0) {
        state->remap_pending = pending;
        state->remap_failed = failed;
    }
    if (CALL(nvml, "nvmlDeviceGetRetiredPagesPendingStatus", NULL, (nvml_handle, int *), nvml->device, &retiring) == 0)
        state->retire_pending = retiring;
}

/* A text that the driver does not give stays empty. */
static void nvml_read_text(struct nvml *nvml, const char *function, char *out, unsigned size) {
    if (CALL(nvml, function, NULL, (nvml_handle, char *, unsigned), nvml->device, out, size) != 0)
        out[0] = '\0';
}

/* A value that a function of the form (device, unsigned *) gives. */
static int64_t nvml_read_number(struct nvml *nvml, const char *function) {
    unsigned value = 0;
    return CALL(nvml, function, NULL, (nvml_handle, unsigned *), nvml->device, &value) == 0 ? value : NVML_UNKNOWN;
}

static int64_t nvml_read_utilization(struct nvml *nvml) {
    struct nvml_utilization rates = {0};
    int status = CALL(nvml, "nvmlDeviceGetUtilizationRates", NULL, (nvml_handle, struct nvml_utilization *),
                      nvml->device, &rates);
    return status == 0 ? rates.gpu : NVML_UNKNOWN;
}

void nvml_read(struct nvml *nvml, struct nvml_state *state) {
    struct nvml_memory memory = {0};
    unsigned temperature = 0;
    *state = (struct nvml_state){.memory_total = NVML_UNKNOWN,
                                 .memory_free = NVML_UNKNOWN,
                                 .remap_failed = NVML_UNKNOWN,
                                 .remap_pending = NVML_UNKNOWN,
                                 .retire_pending = NVML_UNKNOWN,
                                 .temperature = NVML_UNKNOWN};
    if (CALL(nvml, "nvmlSystemGetDriverVersion", NULL, (char *, unsigned), state->driver, sizeof state->driver) != 0)
        state->driver[0] = '\0';
    nvml_read_text(nvml, "nvmlDeviceGetName", state->name, sizeof state->name);
    nvml_read_text(nvml, "nvmlDeviceGetUUID", state->uuid, sizeof state->uuid);
    if (CALL(nvml, "nvmlDeviceGetMemoryInfo", NULL, (nvml_handle, struct nvml_memory *), nvml->device, &memory) == 0) {
        state->memory_total = (int64_t)memory.total;
        state->memory_free = (int64_t)memory.free;
    }
    if (CALL(nvml, "nvmlDeviceGetTemperature", NULL, (nvml_handle, int, unsigned *), nvml->device, SENSOR_GPU,
             &temperature) == 0)
        state->temperature = temperature;
    state->utilization = nvml_read_utilization(nvml);
    state->power_mw = nvml_read_number(nvml, "nvmlDeviceGetPowerUsage");
    state->ecc_uncorrected = ecc_errors(nvml, ERROR_UNCORRECTED);
    state->ecc_corrected = ecc_errors(nvml, ERROR_CORRECTED);
    nvml_read_rows(nvml, state);
}

int64_t nvml_last_xid(struct nvml *nvml) {
    if (!nvml->events)
        return NVML_UNKNOWN;
    for (struct nvml_event event = {0};
         CALL(nvml, "nvmlEventSetWait_v2", "nvmlEventSetWait", (nvml_handle, struct nvml_event *, unsigned),
              nvml->events, &event, 0U) == 0;)
        nvml->xid = (int64_t)event.data;
    return nvml->xid;
}
