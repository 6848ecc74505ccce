/* A model's scheduler_config.json: what is understood makes tables of finite numbers that fall. */
#include <math.h>

#include "diffusion/scheduler.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct error err;
    struct scheduler_config config;
    if (!scheduler_config_load(fuzz_file(bytes, length), &config, &err))
        return 0;
    int steps = 1 + (int)(length % 40);
    _cleanup_scheduler_ struct scheduler *scheduler = scheduler_new(&config, steps, &err);
    if (!scheduler)
        return 0;
    const float *times = scheduler_times(scheduler), *sigmas = scheduler_sigmas(scheduler);
    float latents[2] = {1, -1}, output[2] = {0.5F, 0}, noise[2] = {1, 1};
    ensure(isfinite(scheduler_first_scale(scheduler)));
    for (int step = 0; step < steps; step++) {
        ensure(times[step] >= 0 && times[step] < 2 * SCHEDULER_TRAINED);
        ensure(!sigmas || (sigmas[step] > 0 && sigmas[step] >= sigmas[step + 1]));
        scheduler_step(scheduler, step, output, scheduler_takes_noise(scheduler, step) ? noise : NULL, latents, 2);
    }
    return 0;
}
