#include "model/runtime.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"

/* ONNX Runtime 1.29 leaks 14 bytes when it starts. They are not reported, so that leaks of our own are seen. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#define LEAKS_HERE __lsan_disable()
#define NO_LEAKS_AGAIN __lsan_enable()
#else
#define LEAKS_HERE
#define NO_LEAKS_AGAIN
#endif

/* Set by runtime_start, which runs once; pthread_once orders it before every use. Never freed. */
static pthread_once_t runtime_once = PTHREAD_ONCE_INIT;
static const OrtApi *runtime_ort;
static OrtEnv *runtime_env;
static struct error runtime_error;

ONNXTensorElementDataType runtime_element(enum tensor_type type) {
    static const ONNXTensorElementDataType elements[] = {
        [TENSOR_FLOAT32] = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        [TENSOR_FLOAT16] = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        [TENSOR_INT32] = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
        [TENSOR_INT64] = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
    };
    _Static_assert(ARRAY_LENGTH(elements) == TENSOR_TYPE_COUNT, "one a type");
    return elements[type];
}

/* What ONNX Runtime says when an allocation fails, on the CPU, in its arena, and on a card. */
static bool is_about_memory(const char *message) {
    static const char *const texts[] = {"bad_alloc", "bad allocation", "Failed to allocate memory", "out of memory"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        if (strstr(message, texts[i]))
            return true;
    return false;
}

bool runtime_passed(const OrtApi *ort, OrtStatus *status, enum error_code code, const char *what, struct error *err) {
    if (!status)
        return true;
    const char *message = ort->GetErrorMessage(status);
    error_set(err, is_about_memory(message) ? ERR_MODEL_MEMORY : code, "%s: %s", what, message);
    for (char *c = err->message; *c; c++)
        if (*c == '\n')
            *c = ' ';
    ort->ReleaseStatus(status);
    return false;
}

/* Called by any thread of the runtime. What it logs as an error it also returns as one, and the caller logs that: here
 * it is for debugging only. */
static void ORT_API_CALL forward_log(void *context, OrtLoggingLevel level, const char *category, const char *id,
                                     const char *place, const char *message) {
    log_write(NULL, level == ORT_LOGGING_LEVEL_ERROR ? LOG_DEBUG : LOG_WARN, "onnxruntime: %s", message);
}

static void runtime_start(void) {
    runtime_ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    if (!runtime_ort) {
        error_set(&runtime_error, ERR_MODEL_RUN, "ONNX Runtime %s is too old, interface %d is needed: run script/setup",
                  OrtGetApiBase()->GetVersionString(), ORT_API_VERSION);
        return;
    }
    LEAKS_HERE;
    OrtStatus *status =
        runtime_ort->CreateEnvWithCustomLogger(forward_log, NULL, ORT_LOGGING_LEVEL_WARNING, "mela", &runtime_env);
    NO_LEAKS_AGAIN;
    if (!runtime_passed(runtime_ort, status, ERR_MODEL_RUN, "ONNX Runtime does not start", &runtime_error))
        runtime_ort = NULL;
}

const OrtApi *runtime_api(const OrtEnv **environment, struct error *err) {
    pthread_once(&runtime_once, runtime_start);
    if (!runtime_ort)
        *err = runtime_error;
    else if (environment)
        *environment = runtime_env;
    return runtime_ort;
}

static int core_count(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static bool append_cuda(const OrtApi *ort, OrtSessionOptions *options, int index, struct error *err) {
    static const char no_cuda[] = "this ONNX Runtime cannot use CUDA";
    OrtCUDAProviderOptionsV2 *cuda = NULL;
    if (!runtime_passed(ort, ort->CreateCUDAProviderOptions(&cuda), ERR_MODEL_DEVICE, no_cuda, err))
        return false;
    char card[16];
    snprintf(card, sizeof card, "%d", index);
    /* Every session runs one shape, so the exhaustive search for convolutions is paid once. The default arena
     * doubles at each growth and keeps it for ever; several models share a card here. */
    const char *keys[] = {"device_id", "cudnn_conv_algo_search", "arena_extend_strategy"};
    const char *values[] = {card, "EXHAUSTIVE", "kSameAsRequested"};
    bool done = runtime_passed(ort, ort->UpdateCUDAProviderOptions(cuda, keys, values, ARRAY_LENGTH(keys)),
                               ERR_MODEL_DEVICE, no_cuda, err) &&
                runtime_passed(ort, ort->SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda), ERR_MODEL_DEVICE,
                               no_cuda, err);
    ort->ReleaseCUDAProviderOptions(cuda);
    return done;
}

static bool runtime_set_options(const OrtApi *ort, OrtSessionOptions *options, int card, int threads,
                                struct error *err) {
    return runtime_passed(ort, ort->SetIntraOpNumThreads(options, threads), ERR_MODEL_RUN, "threads", err) &&
           /* Threads that spin between runs take the cores that decoding and encoding need. */
           runtime_passed(ort, ort->AddSessionConfigEntry(options, "session.intra_op.allow_spinning", "0"),
                          ERR_MODEL_RUN, "spinning", err) &&
           /* Denormal numbers are slow on a CPU and too small to change a pixel. */
           runtime_passed(ort, ort->AddSessionConfigEntry(options, "session.set_denormal_as_zero", "1"), ERR_MODEL_RUN,
                          "denormals", err) &&
           (card == RUNTIME_CPU || append_cuda(ort, options, card, err));
}

OrtSessionOptions *runtime_options(const OrtApi *ort, int card, int threads, struct error *err) {
    OrtSessionOptions *options = NULL;
    if (!runtime_passed(ort, ort->CreateSessionOptions(&options), ERR_MODEL_RUN, "session options", err))
        return NULL;
    if (card != RUNTIME_CPU)
        threads = 1; /* the card computes; the few operators left to the CPU gain nothing from more */
    else if (threads <= 0)
        threads = core_count();
    if (runtime_set_options(ort, options, card, threads, err))
        return options;
    ort->ReleaseSessionOptions(options);
    return NULL;
}
