/* track: finds the speaker's face in every frame of one segment, once for all languages.
 *
 * Two threads with a bounded ring between them: the decoder decodes, the job's own thread finds the face. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/thread.h"
#include "dub/dub.h"
#include "dub/part.h"
#include "dub/track_file.h"
#include "work/flow.h"

enum { FACES_MAX = 32, DECODE_AHEAD = 8 };

struct tracker {
    /* Set before the decoder starts, and only read by both threads: thread_start orders that. */
    const struct job_context *context;
    const struct plan_segment *segment;
    struct ring *frames; /* the flow's; a frame belongs to the thread that pushed or popped it last */

    /* Used by both; flow.h and steps.h say why that is safe. */
    struct step_times *times;
    struct flow flow;

    struct video_reader *reader; /* the decoder's alone from its start until it is joined */

    /* The job's thread alone. */
    struct track track;
    struct mesh_face face; /* where the face was in the last frame, while it is followed */
    bool following;        /* the last frame had the face: search around it first */
};

static void *decode_frames(void *context) {
    struct tracker *tracker = context;
    struct error err;
    for (int64_t i = 0; i < tracker->segment->frames && !flow_stopped(&tracker->flow); i++) {
        _cleanup_frame_ struct frame *frame = NULL;
        int64_t started = step_start();
        if (!video_next(tracker->reader, &frame, &err)) {
            flow_fail(&tracker->flow, &err);
            return NULL;
        }
        step_stop(tracker->times, STEP_DECODE, started);
        if (!frame || !ring_push(tracker->frames, frame))
            break;
        steal(frame);
    }
    ring_close(tracker->frames);
    return NULL;
}

/* How well a detected face fits the speaker that was asked for: the more the better; 0 or less: not at all. */
static double speaker_fit(const struct speaker *speaker, const struct face *face, int width, int height) {
    double x = speaker->x * width, y = speaker->y * height;
    if (speaker->kind == SPEAKER_LARGEST)
        return face->width * face->height;
    if (speaker->kind == SPEAKER_BOX) { /* overlap */
        double right = x + speaker->width * width, bottom = y + speaker->height * height;
        double across = MIN(right, face->x + face->width) - MAX(x, face->x);
        double down = MIN(bottom, face->y + face->height) - MAX(y, face->y);
        return across > 0 && down > 0 ? across * down : -1;
    }
    bool inside = x >= face->x && x <= face->x + face->width && y >= face->y && y <= face->y + face->height;
    return inside ? 1 / (1 + hypot(x - face->x - face->width / 2, y - face->y - face->height / 2)) : -1;
}

static const struct face *choose_face(const struct tracker *tracker, const struct face *faces, int count) {
    const struct plan *plan = tracker->context->plan;
    const struct face *best = NULL;
    double best_fit = 0;
    for (int i = 0; i < count; i++) {
        double value = speaker_fit(&tracker->context->campaign->options.speaker, &faces[i], plan->width, plan->height);
        if (value > best_fit) {
            best = &faces[i];
            best_fit = value;
        }
    }
    return best;
}

static bool run_mesh(struct tracker *tracker, const struct frame *frame, const struct affine *region,
                     struct error *err) {
    int64_t started = step_start();
    bool ran = mesh_run(models_mesh(tracker->context->models), frame, region, &tracker->face, err);
    step_stop(tracker->times, STEP_LANDMARK, started);
    tracker->following = ran && tracker->face.presence >= 0.5F; /* MediaPipe's threshold */
    return ran;
}

/* Searches the whole frame for the speaker. */
static bool find_speaker(struct tracker *tracker, const struct frame *frame, struct error *err) {
    struct face faces[FACES_MAX];
    int count = 0;
    int64_t started = step_start();
    if (!detector_run(models_detector(tracker->context->models), frame, faces, FACES_MAX, &count, err))
        return false;
    step_stop(tracker->times, STEP_DETECT, started);
    const struct face *face = choose_face(tracker, faces, count);
    if (!face)
        return true;
    struct affine region = mesh_region_of_face(face);
    if (!run_mesh(tracker, frame, &region, err))
        return false;
    if (!tracker->following)
        return true;
    region = mesh_region_of_landmarks(&tracker->face); /* once more, now well centred */
    return run_mesh(tracker, frame, &region, err);
}

static bool track_one(struct tracker *tracker, const struct frame *frame, struct track_frame *out, struct error *err) {
    if (tracker->following) {
        struct affine region = mesh_region_of_landmarks(&tracker->face);
        if (!run_mesh(tracker, frame, &region, err))
            return false;
    }
    if (!tracker->following && !find_speaker(tracker, frame, err))
        return false;
    if (tracker->following)
        track_frame_set_face(out, &tracker->face);
    return true;
}

static int32_t shot_of(const struct plan *plan, int64_t frame) {
    size_t low = 0, high = plan->shot_count; /* shots[low] <= frame < shots[high] */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (plan->shots[middle] <= frame)
            low = middle;
        else
            high = middle;
    }
    return (int32_t)low;
}

static bool track_frames(struct tracker *tracker, struct error *err) {
    int32_t shot = -1;
    while (!flow_stopped(&tracker->flow)) {
        _cleanup_frame_ struct frame *frame = ring_pop(tracker->frames);
        if (!frame)
            break;
        struct track_frame *out = &tracker->track.frames[tracker->track.count];
        *out = (struct track_frame){
            .pts = frame->pts, .duration = frame->duration, .shot = shot_of(tracker->context->plan, frame->index)};
        if (out->shot != shot)
            tracker->following = false; /* a face is never followed across a cut */
        shot = out->shot;
        if (!track_one(tracker, frame, out, err))
            return flow_fail(&tracker->flow, err);
        atomic_store(&tracker->context->progress->frames, ++tracker->track.count);
    }
    return true;
}

static bool run_tracker(struct tracker *tracker, struct error *err) {
    flow_init(&tracker->flow, tracker->context->cancel);
    tracker->frames = flow_add_ring(&tracker->flow, DECODE_AHEAD);
    tracker->track.frames = xnew_array(struct track_frame, (size_t)tracker->segment->frames);
    atomic_store(&tracker->context->progress->of, tracker->segment->frames);
    pthread_t decoder;
    bool decoding = thread_start(&decoder, "track-decode", decode_frames, tracker, err);
    bool tracked = decoding ? track_frames(tracker, err) : flow_fail(&tracker->flow, err);
    ring_abort(tracker->frames); /* a decoder that waits for room stops waiting */
    if (decoding)
        pthread_join(decoder, NULL);
    for (struct frame *frame; (frame = ring_drain(tracker->frames));)
        frame_free(frame);
    tracked = flow_result(&tracker->flow, err) && tracked;
    flow_destroy(&tracker->flow);
    if (tracked && tracker->track.count != tracker->segment->frames)
        return error_set(err, ERR_MEDIA_CORRUPT, "the master gave %lld frames of segment %d, not the planned %lld",
                         (long long)tracker->track.count, tracker->context->job.index,
                         (long long)tracker->segment->frames);
    return tracked;
}

static bool save_track(const struct job_context *context, struct track *track, json_t *report, struct error *err) {
    const struct plan_segment *segment = &context->plan->segments[context->job.index];
    json_t *faceless = track_faceless(track, segment->first_frame);
    if (json_array_size(faceless) > 0)
        log_write(context->log, LOG_INFO, "%zu runs of frames without the speaker's face pass through unchanged",
                  json_array_size(faceless));
    json_object_set_new(report, "frames", json_integer(track->count));
    json_object_set_new(report, "faceless", faceless);
    track_smooth(track);
    _cleanup_free_ char *path = work_path(context, TARGET_TRACK);
    return track_write(track, path, err);
}

bool track_job_run(const struct job_context *context, struct step_times *times, struct work_result *result,
                   struct error *err) {
    if ((size_t)context->job.index >= context->plan->segment_count)
        return error_set(err, ERR_INTERNAL, "the plan has no segment %d", context->job.index);
    _cleanup_video_reader_ struct video_reader *reader = master_open(context, times, err);
    if (!reader)
        return false;
    const struct plan_segment *segment = &context->plan->segments[context->job.index];
    if (!video_seek(reader, segment->start_pts, segment->first_frame, err))
        return false;
    struct tracker tracker = {.context = context, .times = times, .reader = reader, .segment = segment};
    if (!work_enter(context, times, err))
        return false;
    atomic_store(&context->progress->step, STEP_LANDMARK);
    bool tracked = run_tracker(&tracker, err);
    work_leave(context, times);
    bool done = tracked && save_track(context, &tracker.track, result->report, err);
    track_free(&tracker.track);
    return done;
}
