/* Planning itself: frames with any distances, any time base, any speech. A plan that is made can be read back. */
#include "farm/plan.h"
#include "fuzz.h"

enum { FRAMES_MAX = 256 };

struct input {
    uint8_t sync, seconds, rates;
    uint16_t base_num, base_den;
    uint32_t speech_ms;
} __attribute__((packed));

/* Distances from one tick to 2^55, as many binary digits as a byte's low six bits say. */
static int64_t fill(int64_t *pts, const uint8_t *bytes, size_t count) {
    int64_t at = 0;
    for (size_t i = 0; i < count; i++) {
        pts[i] = at;
        at += MIN(INT64_C(1) << (bytes[i] & 63) % 56, (INT64_MAX / 4 - at) / 2);
    }
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct input in;
    if (length <= sizeof in)
        return 0;
    memcpy(&in, bytes, sizeof in);
    int64_t pts[FRAMES_MAX], shots[] = {0};
    size_t count = MIN(length - sizeof in, FRAMES_MAX);
    int64_t end = fill(pts, bytes + sizeof in, count);
    int num = MAX(in.base_num, 1), den = MAX(in.base_den, 1);
    /* A speech of at most ten films: each output of a plan costs memory. */
    double speech = MIN(in.speech_ms / 1e3, MIN(10.0 * (double)end * num / den, 1e7));
    struct dub dub = {.language = (char *)"hi"};
    struct campaign campaign = {
        .dubs = &dub, .dub_count = 1, .options = {.sync = in.sync % 4, .segment_seconds = 1 + in.seconds % 60}};
    struct plan_input input = {.width = 2,
                               .height = 2,
                               .time_base_num = num,
                               .time_base_den = den,
                               .pts = pts,
                               .frame_count = (int64_t)count,
                               .end_pts = end,
                               .shots = shots,
                               .shot_count = 1,
                               .speech_seconds = &speech};
    struct error err;
    if (end <= pts[count - 1])
        return 0;
    _cleanup_plan_ struct plan *plan = plan_make(&campaign, &input, &err);
    if (!plan)
        return 0;
    _cleanup_json_ json_t *json = plan_to_json(plan);
    _cleanup_plan_ struct plan *again = plan_from_json(json, &err);
    ensure(again);
    return 0;
}
