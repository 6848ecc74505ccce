/* A speech: decoded piece by piece. */
#include <math.h>

#include "fuzz.h"
#include "media/audio.h"
#include "media/media.h"

enum { SECONDS_MAX = 20 };

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count, (void)arguments;
    media_process_begin();
    return 0;
}

static bool take(const float *samples, int count, void *context, struct error *err) {
    int64_t *total = context;
    ensure(count >= 0 && count <= AUDIO_RATE);
    for (int i = 0; i < count; i++)
        ensure(isfinite(samples[i]));
    *total += count;
    return *total <= SECONDS_MAX * AUDIO_RATE || error_set(err, ERR_CANCELLED, "enough");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct error err = {.code = ERR_NONE};
    int64_t taken = 0, count = 0;
    if (audio_each(fuzz_file(bytes, length), take, &taken, NULL, &count, &err))
        ensure(count == taken);
    else
        ensure(err.code != ERR_NONE && err.message[0]);
    return 0;
}
