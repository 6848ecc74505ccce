#include "test.h"

#include <string.h>

#include "base/memory.h"
#include "farm/plan.h"

/* A film of one shot, its frames `step` ticks of 1/100 s apart. */
static struct plan_input film_of(int64_t *pts, int64_t frames, int64_t step, const double *speech) {
    static const int64_t shots[] = {0};
    for (int64_t i = 0; i < frames; i++)
        pts[i] = i * step;
    return (struct plan_input){.width = 64,
                               .height = 48,
                               .time_base_num = 1,
                               .time_base_den = 100,
                               .pts = pts,
                               .frame_count = frames,
                               .end_pts = frames * step,
                               .shots = shots,
                               .shot_count = 1,
                               .speech_seconds = speech};
}

/* A film at 25 frames/s in ticks of 1/100 s, with one dub whose speech lasts `speech` seconds. */
static struct plan *plan_of(int64_t frames, double speech, enum sync_mode sync) {
    int64_t *pts = xnew_array(int64_t, frames);
    struct dub dub = {.language = (char *)"hi"};
    struct campaign campaign = {.dubs = &dub, .dub_count = 1, .options = {.segment_seconds = 2, .sync = sync}};
    struct plan_input input = film_of(pts, frames, 4, &speech);
    struct error err;
    struct plan *plan = plan_make(&campaign, &input, &err);
    assert_ok(plan, err);
    free(pts);
    return plan;
}

static int64_t frames_of(const struct plan *plan) {
    int64_t frames = 0;
    for (size_t i = 0; i < plan->languages[0].output_count; i++)
        frames += plan->languages[0].outputs[i].frames;
    return frames;
}

static void test_segments_cover_every_frame_once(void **state) {
    for (int64_t frames = 1; frames < 400; frames += 7) {
        _cleanup_plan_ struct plan *plan = plan_of(frames, 1000, SYNC_CUT_OFF);
        int64_t next = 0;
        for (size_t i = 0; i < plan->segment_count; i++) {
            assert_int_equal(plan->segments[i].first_frame, next);
            assert_int_equal(plan->segments[i].start_pts, next * 4);
            next += plan->segments[i].frames;
            assert_int_equal(plan->segments[i].end_pts, next * 4);
        }
        assert_int_equal(next, frames);
        assert_int_equal(frames_of(plan), frames);
    }
}

static void test_a_short_rest_joins_its_neighbour(void **state) {
    _cleanup_plan_ struct plan *plan = plan_of(100 + 9, 1000, SYNC_CUT_OFF);
    assert_int_equal(plan->segment_count, 2);
    assert_int_equal(plan->segments[1].frames, 59);
}

static void test_cut_off_ends_with_the_shorter(void **state) {
    _cleanup_plan_ struct plan *speech_short = plan_of(250, 4.5, SYNC_CUT_OFF);
    assert_int_equal(frames_of(speech_short), 113); /* 4.5 s * 25 = 112.5 */
    assert_int_equal(speech_short->languages[0].end_pts, 452);
    _cleanup_plan_ struct plan *silent = plan_of(250, 0, SYNC_CUT_OFF);
    assert_int_equal(frames_of(silent), 1);
}

static void test_silence_keeps_the_video(void **state) {
    _cleanup_plan_ struct plan *plan = plan_of(250, 4.5, SYNC_SILENCE);
    assert_int_equal(frames_of(plan), 250);
}

static void test_loop_and_bounce_last_as_long_as_the_speech(void **state) {
    for (int bounce = 0; bounce < 2; bounce++) {
        _cleanup_plan_ struct plan *plan = plan_of(125, 17.3, bounce ? SYNC_BOUNCE : SYNC_LOOP);
        const struct plan_language *hi = &plan->languages[0];
        assert_int_equal(frames_of(plan), 433); /* 17.3 s * 25 = 432.5 */
        int64_t at = 0;
        for (size_t i = 0; i < hi->output_count; i++) {
            assert_int_equal(hi->outputs[i].start_pts, at);
            at += hi->outputs[i].frames * 4;
            assert_int_equal(hi->outputs[i].reversed, bounce && i / plan->segment_count % 2 == 1);
        }
        assert_int_equal(at, hi->end_pts);
        size_t turn = plan->segment_count;
        assert_int_equal(hi->outputs[turn].segment, bounce ? (int)turn - 1 : 0);
    }
}

static void test_json_round_trip(void **state) {
    _cleanup_plan_ struct plan *plan = plan_of(250, 17.3, SYNC_BOUNCE);
    _cleanup_json_ json_t *json = plan_to_json(plan);
    struct error err;
    _cleanup_plan_ struct plan *again = plan_from_json(json, &err);
    assert_non_null(again);
    _cleanup_json_ json_t *twice = plan_to_json(again);
    assert_true(json_equal(json, twice));
    _cleanup_json_ json_t *other = json_pack("{s:i}", "version", 2);
    assert_null(plan_from_json(other, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
}

/* Damages one place of a sound plan; the reader must refuse it. */
static void refuses(const char *path, json_t *value) {
    _cleanup_plan_ struct plan *plan = plan_of(250, 17.3, SYNC_BOUNCE);
    _cleanup_json_ json_t *json = plan_to_json(plan);
    json_t *at = json;
    _cleanup_free_ char *parts = xstrdup(path);
    char *rest = NULL, *part = strtok_r(parts, ".", &rest);
    for (char *next; (next = strtok_r(NULL, ".", &rest)); part = next)
        at = json_is_array(at) ? json_array_get(at, strtoul(part, NULL, 10)) : json_object_get(at, part);
    int set = json_is_array(at) ? json_array_set_new(at, strtoul(part, NULL, 10), value)
                                : json_object_set_new(at, part, value);
    assert_int_equal(set, 0);
    struct error err = {.code = ERR_NONE};
    struct plan *read = plan_from_json(json, &err);
    if (read)
        fail_msg("accepted with %s changed", path);
    assert_int_equal(err.code, ERR_INTERNAL);
}

static void test_a_plan_that_points_outside_itself_is_refused(void **state) {
    refuses("size.0", json_integer(0));
    refuses("time_base.0", json_integer(0));
    refuses("frames", json_integer(249));
    refuses("segments", json_array());
    refuses("segments.1.0", json_integer(7));      /* first frame */
    refuses("segments.4.1", json_integer(100000)); /* frames */
    refuses("segments.0.1", json_integer(-1));
    refuses("segments.0.3", json_integer(0)); /* ends before it begins */
    refuses("shots.0", json_integer(1));
    refuses("shots", json_array());
    refuses("languages.0.language", json_string(""));
    refuses("languages.0.outputs", json_array());
    refuses("languages.0.outputs.1.0", json_integer(5)); /* segment */
    refuses("languages.0.outputs.1.0", json_integer(-1));
    refuses("languages.0.outputs.1.1", json_integer(51)); /* frames of 50 */
    refuses("languages.0.outputs.1.1", json_integer(0));
    refuses("languages.0.outputs.1.3", json_integer(0)); /* begins with the one before */
    refuses("languages.0.speech_seconds", json_real(-1));
    refuses("languages.0.end_pts", json_integer(INT64_MAX));
}

/* Two frames in a file of a few bytes can be 2^55 ticks apart. */
static void test_a_gap_in_time_costs_nothing(void **state) {
    const int64_t far = INT64_C(1) << 55;
    double speech = 1;
    struct dub dub = {.language = (char *)"hi"};
    struct campaign campaign = {.dubs = &dub, .dub_count = 1, .options = {.segment_seconds = 1}};
    struct plan_input input = {.width = 64,
                               .height = 48,
                               .time_base_num = 1,
                               .time_base_den = 1000,
                               .pts = (int64_t[]){0, 40, far, far + 20},
                               .frame_count = 4,
                               .end_pts = far + 5000,
                               .shots = (int64_t[]){0},
                               .shot_count = 1,
                               .speech_seconds = &speech};
    struct error err;
    _cleanup_plan_ struct plan *plan = plan_make(&campaign, &input, &err);
    assert_ok(plan, err);
    assert_int_equal(plan->segment_count, 2);
    assert_int_equal(plan->segments[0].frames, 2);
    assert_int_equal(plan->segments[1].first_frame, 2);
    assert_int_equal(plan->segments[1].start_pts, far);
}

/* What plan_make says of a film of one segment under two speeches of `speech` seconds each. */
static struct plan *plan_of_loops(double speech, enum sync_mode sync, struct error *err) {
    struct dub dubs[] = {{.language = (char *)"hi"}, {.language = (char *)"ta"}};
    struct campaign campaign = {.dubs = dubs, .dub_count = 2, .options = {.segment_seconds = 1, .sync = sync}};
    struct plan_input input = {.width = 2,
                               .height = 2,
                               .time_base_num = 1,
                               .time_base_den = 100,
                               .pts = (int64_t[]){0, 4, 8, 14},
                               .frame_count = 4,
                               .end_pts = 20,
                               .shots = (int64_t[]){0},
                               .shot_count = 1,
                               .speech_seconds = (double[]){speech, speech}};
    return plan_make(&campaign, &input, err);
}

static void test_a_campaign_of_too_many_outputs_is_refused(void **state) {
    static const enum sync_mode modes[] = {SYNC_LOOP, SYNC_BOUNCE};
    struct error err;
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        assert_error(plan_of_loops(86400, modes[i], &err), ERR_CAMPAIGN_LIMIT,
                     "864000 segments to dub in all its languages; the limit is 200000", err);
        assert_error(plan_of_loops(5000.01, modes[i], &err), ERR_CAMPAIGN_LIMIT, "has 50002 jobs that begin", err);
        _cleanup_plan_ struct plan *plan = plan_of_loops(5000, modes[i], &err);
        assert_ok(plan, err);
        struct job_id track = {.campaign = "c", .kind = KIND_TRACK};
        _cleanup_free_ struct job_spec *jobs = NULL;
        assert_int_equal(plan_children(plan, &track, &jobs), 50000);
        assert_int_equal(plan->languages[1].end_pts, 500000);
    }
    _cleanup_plan_ struct plan *silence = plan_of_loops(86400, SYNC_SILENCE, &err);
    assert_ok(silence, err);
}

/* 100 languages of a film of three hours, in segments of 10 s; and of 1 s, which are too many. */
static void test_a_long_film_in_many_languages_is_planned(void **state) {
    enum { LANGUAGES = 100, SECONDS = 3 * 3600 };
    static int64_t pts[SECONDS];
    struct dub dubs[LANGUAGES];
    double speech[LANGUAGES];
    for (int i = 0; i < LANGUAGES; i++) {
        dubs[i].language = (char *)"hi";
        speech[i] = SECONDS;
    }
    struct campaign campaign = {.dubs = dubs, .dub_count = LANGUAGES, .options = {.segment_seconds = 10}};
    struct plan_input input = film_of(pts, SECONDS, 100, speech);
    struct error err;
    _cleanup_plan_ struct plan *plan = plan_make(&campaign, &input, &err);
    assert_ok(plan, err);
    assert_int_equal(plan->languages[LANGUAGES - 1].output_count, 1080);
    campaign.options.segment_seconds = 1;
    assert_error(plan_make(&campaign, &input, &err), ERR_CAMPAIGN_LIMIT, "has 1080000 segments to dub", err);
}

static void test_children(void **state) {
    _cleanup_plan_ struct plan *plan = plan_of(250, 17.3, SYNC_LOOP); /* 5 segments of 2 s, 9 outputs */
    struct job_id done = {.campaign = "c", .kind = KIND_PLAN};
    _cleanup_free_ struct job_spec *jobs = NULL;
    assert_int_equal(plan_children(plan, &done, &jobs), 6);
    assert_string_equal(jobs[4].id, "c/track/0004");
    assert_string_equal(jobs[5].id, "c/hi/join");
    assert_int_equal(jobs[5].waits_for, 9);
    done = (struct job_id){.campaign = "c", .kind = KIND_TRACK, .index = 1};
    _cleanup_free_ struct job_spec *dubs = NULL;
    assert_int_equal(plan_children(plan, &done, &dubs), 2);
    assert_string_equal(dubs[1].id, "c/hi/dub/0006");
    assert_string_equal(dubs[1].next, "c/hi/join");
}

static void test_segments_nobody_sees_are_not_tracked(void **state) {
    _cleanup_plan_ struct plan *plan = plan_of(250, 3, SYNC_CUT_OFF);
    struct job_id done = {.campaign = "c", .kind = KIND_PLAN};
    _cleanup_free_ struct job_spec *jobs = NULL;
    assert_int_equal(plan_children(plan, &done, &jobs), 3); /* two tracks, one join */
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments_cover_every_frame_once),
        cmocka_unit_test(test_a_short_rest_joins_its_neighbour),
        cmocka_unit_test(test_cut_off_ends_with_the_shorter),
        cmocka_unit_test(test_silence_keeps_the_video),
        cmocka_unit_test(test_loop_and_bounce_last_as_long_as_the_speech),
        cmocka_unit_test(test_json_round_trip),
        cmocka_unit_test(test_a_plan_that_points_outside_itself_is_refused),
        cmocka_unit_test(test_a_gap_in_time_costs_nothing),
        cmocka_unit_test(test_a_campaign_of_too_many_outputs_is_refused),
        cmocka_unit_test(test_a_long_film_in_many_languages_is_planned),
        cmocka_unit_test(test_children),
        cmocka_unit_test(test_segments_nobody_sees_are_not_tracked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
