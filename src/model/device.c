#include "model/device.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/process.h"
#include "model/runtime.h"

/* How many cards the NVIDIA driver shows: cuInit and cuDeviceGetCount of the CUDA driver API, 0 being
 * success. */
static bool card_count(int *count, struct error *err) {
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!driver)
        return error_set(err, ERR_MODEL_DEVICE, "no NVIDIA driver is installed (libcuda.so.1 cannot be loaded)");
    int (*init)(unsigned) = (int (*)(unsigned))dlsym(driver, "cuInit");
    int (*get_count)(int *) = (int (*)(int *))dlsym(driver, "cuDeviceGetCount");
    int status = init && get_count ? init(0) : -1;
    if (status == 0)
        status = get_count(count);
    /* The driver stays loaded: unloading it after cuInit is not supported. */
    return status == 0 || error_set(err, ERR_MODEL_DEVICE, "the NVIDIA driver does not start (error %d)", status);
}

static bool cuda_usable(const struct device *device, struct error *err) {
    int count = 0;
    if (!card_count(&count, err))
        return false;
    if (device->index >= count)
        return error_set(err, ERR_MODEL_DEVICE, "there is no card %d, the driver shows %d", device->index, count);
    const OrtApi *ort = runtime_api(NULL, err);
    OrtSessionOptions *options = ort ? runtime_options(ort, device->index, 0, err) : NULL;
    if (!options)
        return false;
    ort->ReleaseSessionOptions(options);
    return true;
}

static bool parse_cuda(const char *text, struct device *out) {
    if (strncmp(text, "cuda:", 5) != 0 || text[5] < '0' || text[5] > '9')
        return false;
    char *end;
    long index = strtol(text + 5, &end, 10);
    *out = (struct device){.kind = DEVICE_CUDA, .index = (int)index};
    return *end == '\0' && index < 1024;
}

bool device_parse(const char *text, struct device *out, struct error *err) {
    struct device device = {.kind = DEVICE_CPU};
    if (strcmp(text, "auto") == 0) {
        struct device card = {.kind = DEVICE_CUDA};
        struct error why = {0};
        if (cuda_usable(&card, &why))
            device = card;
        else
            log_write(NULL, LOG_DEBUG, "running on the CPU: %s", why.message);
    } else if (parse_cuda(text, &device)) {
        if (!cuda_usable(&device, err))
            return error_wrap(err, "device %s", text);
    } else if (strcmp(text, "cpu") != 0) {
        return error_set(err, ERR_MODEL_DEVICE, "\"%s\" is no device: use auto, cpu or cuda:N", text);
    }
    *out = device;
    return true;
}

/* cuDeviceGet and cuDeviceTotalMem of the CUDA driver API, after cuInit. */
static int64_t card_memory_mb(int index) {
    struct error none;
    int count, card;
    size_t bytes = 0;
    void *driver = card_count(&count, &none) ? dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!driver)
        return 0;
    int (*get)(int *, int) = (int (*)(int *, int))dlsym(driver, "cuDeviceGet");
    int (*total)(size_t *, int) = (int (*)(size_t *, int))dlsym(driver, "cuDeviceTotalMem_v2");
    bool known = get && total && get(&card, index) == 0 && total(&bytes, card) == 0;
    dlclose(driver); /* card_count keeps it loaded */
    return known ? (int64_t)(bytes >> 20) : 0;
}

int64_t device_memory_mb(const struct device *device) {
    return device->kind == DEVICE_CPU ? process_memory_mb() : card_memory_mb(device->index);
}
