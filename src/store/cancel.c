#include "store/cancel.h"

bool cancel_check(const atomic_bool *cancel, struct error *err) {
    return !is_cancelled(cancel) || error_set(err, ERR_CANCELLED, "the job was told to stop");
}

void cancel_sleep(const atomic_bool *cancel, const struct clock *clock, int64_t ms) {
    int64_t step = cancel ? CANCEL_POLL_MS : ms;
    for (int64_t left = ms; left > 0 && !is_cancelled(cancel); left -= step)
        clock_sleep_ms(clock, MIN(left, step));
}
