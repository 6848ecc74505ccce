/* A plan.json, and then all who work by it: its jobs, their inputs, and every frame that they would touch. */
#include "farm/plan.h"
#include "fuzz.h"

static struct job_id parsed(const char *text) {
    struct job_id id;
    ensure(job_id_parse(text, &id));
    return id;
}

static void check_dub(const struct plan *plan, const struct job_spec *dub, int segment) {
    struct job_id id = parsed(dub->id);
    const struct plan_language *language = plan_language_find(plan, id.language);
    ensure(id.kind == KIND_DUB && language && (size_t)id.index < language->output_count);
    const struct plan_output *output = &language->outputs[id.index];
    ensure(output->segment == segment && output->frames >= 1 && output->frames <= plan->segments[segment].frames);
    ensure(parsed(dub->next).kind == KIND_JOIN);
    char(*inputs)[JOB_ID_MAX + 1];
    ensure(plan_inputs(plan, &id, &inputs) == 1);
    struct job_id track = parsed(inputs[0]);
    ensure(track.kind == KIND_TRACK && track.index == segment);
    free(inputs);
}

static void check_track(const struct plan *plan, const struct job_id *track) {
    ensure((size_t)track->index < plan->segment_count);
    const struct plan_segment *segment = &plan->segments[track->index];
    ensure(segment->first_frame >= 0 && segment->frames >= 1 && segment->end_pts > segment->start_pts);
    ensure(segment->frames <= plan->frame_count - segment->first_frame);
    _cleanup_free_ struct job_spec *dubs = NULL;
    size_t count = plan_children(plan, track, &dubs);
    ensure(count >= 1);
    for (size_t i = 0; i < count; i++)
        check_dub(plan, &dubs[i], track->index);
}

static void check_join(const struct plan *plan, const struct job_id *join, int waits_for) {
    char(*inputs)[JOB_ID_MAX + 1];
    size_t count = plan_inputs(plan, join, &inputs);
    ensure(count == (size_t)waits_for && count >= 1);
    for (size_t i = 0; i < count; i++) {
        struct job_id dub = parsed(inputs[i]);
        ensure(dub.kind == KIND_DUB && dub.index == (int)i);
    }
    free(inputs);
}

static void check(const struct plan *plan) {
    struct job_id root = {.campaign = "c", .kind = KIND_PLAN};
    _cleanup_free_ struct job_spec *jobs = NULL;
    size_t count = plan_children(plan, &root, &jobs);
    for (size_t i = 0; i < count; i++) {
        struct job_id id = parsed(jobs[i].id);
        if (id.kind == KIND_TRACK)
            check_track(plan, &id);
        else
            check_join(plan, &id, jobs[i].waits_for);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct error err;
    _cleanup_json_ json_t *json = fuzz_json(bytes, length);
    _cleanup_plan_ struct plan *plan = json ? plan_from_json(json, &err) : NULL;
    if (!plan)
        return 0;
    check(plan);
    _cleanup_json_ json_t *written = plan_to_json(plan);
    _cleanup_plan_ struct plan *again = plan_from_json(written, &err);
    ensure(again);
    _cleanup_json_ json_t *twice = plan_to_json(again);
    ensure(json_equal(written, twice));
    return 0;
}
