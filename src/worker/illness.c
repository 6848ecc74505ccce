#include "worker/illness.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

enum {
    ILL_AFTER = 3,        /* faults of its own in a row */
    PAUSE_MS = 15000,     /* before the first try, doubled after each one in vain... */
    PAUSE_MAX_MS = 600000 /* ... up to this */
};

static bool is_up_to_spec(enum error_code code) {
    return code == ERR_MODEL_NOT_FOUND || code == ERR_MODEL_INVALID || code == ERR_STORE_DENIED;
}

void illness_note(struct illness *illness, const char *worker, const char *campaign, const struct error *why,
                  int64_t now_ms) {
    bool again = is_up_to_spec(why->code) && campaign[0] && strcmp(illness->campaign, campaign) == 0;
    if (again)
        return;
    snprintf(illness->campaign, sizeof illness->campaign, "%s", campaign);
    illness->why = *why;
    illness->in_a_row++;
    if (illness->in_a_row < ILL_AFTER)
        return;
    if (!illness->ill)
        illness->since_ms = clock_wall_ms(clock_system());
    illness->pause_ms = illness->ill ? MIN(2 * illness->pause_ms, (int64_t)PAUSE_MAX_MS) : PAUSE_MS;
    illness->ill = true;
    illness->trying = false;
    illness->again_ms = now_ms + illness->pause_ms;
    log_write_with(&(struct log){.worker = worker}, LOG_ERROR, json_pack("{s:s}", "code", error_name(why->code)),
                   "this worker is ill and claims nothing for %lld s: %s", (long long)illness->pause_ms / 1000,
                   why->message);
}

void illness_end(struct illness *illness, const char *worker) {
    if (illness->ill)
        log_write(&(struct log){.worker = worker}, LOG_INFO, "this worker is well again");
    *illness = (struct illness){0};
}

void illness_try(struct illness *illness) { illness->trying = illness->ill; }

bool illness_allows(struct illness *illness, int busy, int64_t now_ms) {
    if (!illness->ill)
        return true;
    illness->trying |= now_ms >= illness->again_ms;
    return illness->trying && busy == 0;
}
