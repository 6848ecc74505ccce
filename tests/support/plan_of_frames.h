/* Plans without a film, for the tests of several folders. */
#pragma once

#include "base/memory.h"
#include "farm/plan.h"

/* `frames` frames, 25 a second, all one shot, and one length of speech for each dub of the campaign. */
static inline struct plan *plan_of_frames(const struct campaign *campaign, int width, int height, int64_t frames,
                                          double speech_seconds) {
    _cleanup_free_ int64_t *pts = xnew_array(int64_t, (size_t)frames);
    double speech[CAMPAIGN_DUBS_MAX];
    for (int64_t i = 0; i < frames; i++)
        pts[i] = i;
    for (size_t i = 0; i < campaign->dub_count; i++)
        speech[i] = speech_seconds;
    struct plan_input input = {.width = width,
                               .height = height,
                               .time_base_num = 1,
                               .time_base_den = 25,
                               .rate_num = 25,
                               .rate_den = 1,
                               .pts = pts,
                               .frame_count = frames,
                               .end_pts = frames,
                               .shots = (int64_t[]){0},
                               .shot_count = 1,
                               .speech_seconds = speech};
    struct error err;
    struct plan *plan = plan_make(campaign, &input, &err);
    if (!plan)
        abort();
    return plan;
}
