/* dub: gives one output segment of one language its lips.
 *
 * Three threads work on it, with a bounded ring between each two: the decoder decodes and crops, the job's own thread
 * generates, the encoder blends and encodes. A frame belongs to the thread that holds its item; the ring's lock orders
 * what one thread wrote into an item before what the next one reads. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/thread.h"
#include "dub/dub.h"
#include "dub/frame_room.h"
#include "dub/part.h"
#include "dub/track_file.h"
#include "farm/limits.h"
#include "work/flow.h"

/* One frame on its way through the pipeline, owned by whichever thread or ring holds it. */
struct dub_item {
    struct frame *frame;
    const struct track_frame *track; /* borrowed of the dubbing */
    struct affine crop_to_frame;
    float *crop;  /* [3][size][size], NULL when the frame passes through */
    float *patch; /* [3][patch_size][patch_size] */
    float *mel;   /* [MEL_BANDS][MEL_WINDOW] */
};

struct dubbing {
    /* Set by the job's thread before it starts the other two, which only read them: thread_start orders that. */
    const struct job_context *context;
    const char *path; /* of the film that is written */
    struct dub_part part;
    const struct plan_segment *segment; /* the part's */
    const struct plan_output *output;
    struct frame_room room;
    struct video_info info; /* a copy for the encoder: the reader's own is the decoder's */
    struct track track;
    struct mel mel;
    int crop_size, patch_size;
    struct ring *cropped, *generated; /* the flow's */

    /* Used by all three; flow.h and steps.h say why that is safe. */
    struct step_times *times;
    struct flow flow;

    struct video_reader *reader; /* the decoder's alone from its start until it is joined */
    int64_t encoded;             /* the encoder's alone from its start until it is joined */

    /* Run by the job's thread alone. The decoder only reads the crop's template of `lips`, which lips_open set. Neither
     * may be used once the gate is left: the next job may unload them. */
    struct lips *lips;
    struct enhance *enhance; /* NULL: not asked for */

    pthread_t decoder, encoder; /* the job's thread starts and joins them */
    bool decoding, encoding;    /* they were started, so they must be joined */
};

static void dub_item_free(struct dub_item *item) {
    if (item->frame)
        frame_free(item->frame);
    free(item->crop);
    free(item->patch);
    free(item->mel);
    free(item);
}
DEFINE_CLEANUP(struct dub_item *, dub_item_free)

/* ---- decode and crop ---- */

/* The mel window of the frame that is shown at `pts` of this output. */
static void take_mel(const struct dubbing *dubbing, int64_t pts, float *out) {
    double shown = output_seconds(dubbing->context->plan, dubbing->output, pts);
    mel_window(&dubbing->mel, shown - (double)dubbing->part.mel_start / MEL_PER_SECOND, out);
}

/* The item owns the frame. The frame's pts becomes its time inside this output. */
static struct dub_item *make_dub_item(struct dubbing *dubbing, struct frame *frame, const struct track_frame *track) {
    struct dub_item *item = xnew(struct dub_item);
    const struct plan_segment *segment = dubbing->segment;
    item->frame = frame;
    item->track = track;
    frame->pts =
        dubbing->output->reversed ? segment->end_pts - track->pts - track->duration : track->pts - segment->start_pts;
    if (!track->present)
        return item;
    int64_t started = step_start();
    item->crop_to_frame = lips_crop(dubbing->lips, track->align);
    item->crop = xnew_array(float, 3 * (size_t)dubbing->crop_size * (size_t)dubbing->crop_size);
    image_crop(frame, &item->crop_to_frame, dubbing->crop_size, item->crop);
    item->mel = xnew_array(float, MEL_BANDS *MEL_WINDOW);
    take_mel(dubbing, frame->pts, item->mel);
    step_stop(dubbing->times, STEP_BLEND, started);
    return item;
}

/* The next frame of the master; NULL after the flow was failed with the reason. */
static struct frame *dub_decode(struct dubbing *dubbing) {
    struct error err;
    struct frame *frame = NULL;
    int64_t started = step_start();
    bool decoded = video_next(dubbing->reader, &frame, &err);
    step_stop(dubbing->times, STEP_DECODE, started);
    if (decoded && !frame)
        decoded = error_set(&err, ERR_MEDIA_CORRUPT, "the master ended before its planned end");
    if (!decoded)
        flow_fail(&dubbing->flow, &err);
    return frame;
}

static bool dub_push(struct dubbing *dubbing, struct frame *frame, int64_t index) {
    struct dub_item *item = make_dub_item(dubbing, frame, &dubbing->track.frames[index]);
    if (ring_push(dubbing->cropped, item))
        return true;
    dub_item_free(item);
    return false;
}

static void decode_forward(struct dubbing *dubbing) {
    for (int64_t i = 0; i < dubbing->output->frames && !flow_stopped(&dubbing->flow); i++) {
        struct frame *frame = dub_decode(dubbing);
        if (!frame || !dub_push(dubbing, frame, i))
            return;
    }
}

/* Decodes frames [first, end) of the segment and pushes them last first. False when the dub must stop. */
static bool decode_chunk(struct dubbing *dubbing, int64_t first, int64_t end) {
    _cleanup_free_ struct frame **frames = xnew_array(struct frame *, dubbing->room.chunk);
    struct error err;
    int64_t count = 0;
    bool good =
        video_seek(dubbing->reader, dubbing->track.frames[first].pts, dubbing->segment->first_frame + first, &err);
    if (!good)
        flow_fail(&dubbing->flow, &err);
    while (good && count < end - first) {
        frames[count] = dub_decode(dubbing);
        if (frames[count])
            count++;
        else
            good = false;
    }
    while (count > 0) {
        struct frame *frame = frames[--count];
        if (good && !flow_stopped(&dubbing->flow))
            good = dub_push(dubbing, frame, first + count);
        else
            frame_free(frame);
    }
    return good;
}

static void decode_backward(struct dubbing *dubbing) {
    int64_t end = dubbing->segment->frames, stop = end - dubbing->output->frames;
    while (end > stop && !flow_stopped(&dubbing->flow)) {
        int64_t first = MAX(stop, end - (int64_t)dubbing->room.chunk);
        if (!decode_chunk(dubbing, first, end))
            return;
        end = first;
    }
}

static void *decode_thread(void *context) {
    struct dubbing *dubbing = context;
    if (dubbing->output->reversed)
        decode_backward(dubbing);
    else
        decode_forward(dubbing);
    ring_close(dubbing->cropped);
    return NULL;
}

/* ---- generate ---- */

struct batch {
    struct dub_item **items; /* in order, with and without a face */
    size_t count, capacity;
    int faces;
    float *mels, *crops, *out;
};

static void batch_init(struct batch *batch, const struct dubbing *dubbing) {
    size_t size = dubbing->room.batch, plane = (size_t)dubbing->crop_size * (size_t)dubbing->crop_size;
    *batch = (struct batch){.items = xnew_array(struct dub_item *, size),
                            .capacity = size,
                            .mels = xnew_array(float, size *MEL_BANDS *MEL_WINDOW),
                            .crops = xnew_array(float, size * 3 * plane),
                            .out = xnew_array(float, size * 3 * plane)};
}

static void batch_free(struct batch *batch) {
    for (size_t i = 0; i < batch->count; i++)
        dub_item_free_cleanup(&batch->items[i]);
    free(batch->items);
    free(batch->mels);
    free(batch->crops);
    free(batch->out);
}

static void batch_add(struct batch *batch, struct dub_item *item, size_t crop_floats) {
    batch->items[batch->count++] = item;
    if (!item->crop)
        return;
    memcpy(batch->mels + (size_t)batch->faces * MEL_BANDS * MEL_WINDOW, item->mel,
           MEL_BANDS * MEL_WINDOW * sizeof(float));
    memcpy(batch->crops + (size_t)batch->faces * crop_floats, item->crop, crop_floats * sizeof(float));
    batch->faces++;
}

/* Sets the item's patch, sharpened when asked for. Without the enhancer the crop's memory becomes the patch. */
static bool dub_set_patch(struct dubbing *dubbing, struct dub_item *item, const float *generated, struct error *err) {
    size_t floats = 3 * (size_t)dubbing->patch_size * (size_t)dubbing->patch_size;
    if (!dubbing->enhance) {
        item->patch = steal(item->crop);
        memcpy(item->patch, generated, floats * sizeof(float));
        return true;
    }
    int64_t started = step_start();
    item->patch = xnew_array(float, floats);
    bool sharpened = enhance_run(dubbing->enhance, dubbing->crop_size, generated, item->patch, err);
    step_stop(dubbing->times, STEP_ENHANCE, started);
    return sharpened;
}

static bool dub_run_batch(struct dubbing *dubbing, struct batch *batch, struct error *err) {
    size_t floats = 3 * (size_t)dubbing->crop_size * (size_t)dubbing->crop_size, face = 0;
    int64_t started = step_start();
    if (batch->faces > 0 && !lips_run(dubbing->lips, batch->faces, batch->mels, batch->crops, batch->out, err))
        return false;
    step_stop(dubbing->times, STEP_LIPS, started);
    for (size_t i = 0; i < batch->count; i++) {
        struct dub_item *item = batch->items[i];
        if (item->crop && !dub_set_patch(dubbing, item, batch->out + face++ * floats, err))
            return false;
        if (!ring_push(dubbing->generated, item)) {
            /* The ring was aborted, which happens only after the flow kept its first error: this one is dropped. */
            *err = (struct error){0};
            return false;
        }
        batch->items[i] = NULL;
    }
    batch->count = 0;
    batch->faces = 0;
    return true;
}

static void dub_generate(struct dubbing *dubbing) {
    _cleanup_(batch_free) struct batch batch;
    batch_init(&batch, dubbing);
    size_t floats = 3 * (size_t)dubbing->crop_size * (size_t)dubbing->crop_size;
    struct error err;
    bool good = true;
    while (good && !flow_stopped(&dubbing->flow)) {
        struct dub_item *item = ring_pop(dubbing->cropped);
        if (!item)
            break;
        batch_add(&batch, item, floats);
        if (batch.count == batch.capacity)
            good = dub_run_batch(dubbing, &batch, &err);
    }
    if (good && !flow_stopped(&dubbing->flow) && batch.count > 0)
        good = dub_run_batch(dubbing, &batch, &err);
    if (!good)
        flow_fail(&dubbing->flow, &err);
    ring_close(dubbing->generated);
}

/* ---- blend and encode ---- */

/* The same mapping for a crop that was sampled `scale` times as finely. */
static struct affine finer_map(const struct affine *m, double scale) {
    double shift = 0.5 / scale - 0.5; /* pixel centres */
    return (struct affine){m->a / scale, m->b / scale, m->c + (m->a + m->b) * shift,
                           m->d / scale, m->e / scale, m->f + (m->d + m->e) * shift};
}

static void dub_blend(const struct dubbing *dubbing, struct dub_item *item, float *mask) {
    const float feather = 0.08F; /* of the crop's side: wide enough to hide the edge, narrow enough to keep the chin */
    int size = dubbing->patch_size;
    struct affine patch_to_frame = finer_map(&item->crop_to_frame, (double)size / dubbing->crop_size);
    struct affine frame_to_patch = affine_inverse(patch_to_frame);
    struct point outline[TRACK_OUTLINE];
    for (int i = 0; i < TRACK_OUTLINE; i++)
        outline[i] = affine_apply(&frame_to_patch, item->track->outline[i]);
    image_mask_polygon(outline, TRACK_OUTLINE, size, feather * (float)size, mask);
    frame_make_writable(item->frame);
    image_blend(item->frame, &patch_to_frame, size, item->patch, mask);
}

static int64_t output_ticks(const struct dubbing *dubbing) {
    const struct plan_output *output = dubbing->output;
    const struct track_frame *last =
        &dubbing->track.frames[output->reversed ? dubbing->segment->frames - output->frames : output->frames - 1];
    return output->reversed ? dubbing->segment->end_pts - last->pts
                            : last->pts + last->duration - dubbing->segment->start_pts;
}

static bool dub_encode_item(struct dubbing *dubbing, struct video_writer *writer, struct dub_item *item, float *mask,
                            struct error *err) {
    int64_t started = step_start();
    if (item->patch)
        dub_blend(dubbing, item, mask);
    step_stop(dubbing->times, STEP_BLEND, started);
    started = step_start();
    if (!video_write(writer, steal(item->frame), err))
        return false;
    step_stop(dubbing->times, STEP_ENCODE, started);
    atomic_store(&dubbing->context->progress->frames, ++dubbing->encoded);
    return true;
}

static bool dub_encode(struct dubbing *dubbing, struct error *err) {
    _cleanup_free_ float *mask = xnew_array(float, (size_t)dubbing->patch_size *(size_t)dubbing->patch_size);
    int quality = dubbing->context->campaign->options.quality;
    _cleanup_video_writer_ struct video_writer *writer = video_create(dubbing->path, &dubbing->info, quality, 0, err);
    if (!writer)
        return false;
    for (struct dub_item *next; !flow_stopped(&dubbing->flow) && (next = ring_pop(dubbing->generated));) {
        _cleanup_(dub_item_free_cleanup) struct dub_item *item = next;
        if (!dub_encode_item(dubbing, writer, item, mask, err))
            return false;
    }
    if (!flow_result(&dubbing->flow, err))
        return false;
    int64_t started = step_start();
    bool finished = video_finish(steal(writer), output_ticks(dubbing), err);
    step_stop(dubbing->times, STEP_ENCODE, started);
    return finished;
}

static void *encode_thread(void *context) {
    struct dubbing *dubbing = context;
    struct error err;
    if (!dub_encode(dubbing, &err))
        flow_fail(&dubbing->flow, &err);
    return NULL;
}

/* ---- all together ---- */

static void dub_start_threads(struct dubbing *dubbing) {
    flow_init(&dubbing->flow, dubbing->context->cancel);
    dubbing->cropped = flow_add_ring(&dubbing->flow, dubbing->room.ring);
    dubbing->generated = flow_add_ring(&dubbing->flow, dubbing->room.ring);
    struct error err;
    dubbing->decoding = thread_start(&dubbing->decoder, "dub-decode", decode_thread, dubbing, &err);
    dubbing->encoding =
        dubbing->decoding && thread_start(&dubbing->encoder, "dub-encode", encode_thread, dubbing, &err);
    if (!dubbing->encoding)
        flow_fail(&dubbing->flow, &err); /* stops the decoder, and the generator before its first batch */
}

static bool dub_join_encoder(struct dubbing *dubbing, struct error *err) {
    if (dubbing->encoding)
        pthread_join(dubbing->encoder, NULL);
    for (int i = 0; i < dubbing->flow.ring_count; i++)
        for (struct dub_item *item; (item = ring_drain(dubbing->flow.rings[i]));)
            dub_item_free(item);
    bool good = flow_result(&dubbing->flow, err);
    flow_destroy(&dubbing->flow);
    return good;
}

static bool load_track(struct dubbing *dubbing, struct error *err) {
    const char *path = work_input(dubbing->context, SOURCE_TRACK, err);
    _cleanup_buffer_ struct buffer bytes = {0};
    if (!path || !file_read(path, (size_t)limit_most(LIMIT_TRACK_BYTES), &bytes, err) ||
        !track_read(&bytes, &dubbing->track, err))
        return false;
    return dubbing->track.count == dubbing->segment->frames ||
           error_set(err, ERR_INTERNAL, "the face track does not fit segment %d", dubbing->output->segment);
}

/* Reads the part of the speech that is shown, if the speech lasts so long. */
static bool read_speech(const struct dubbing *dubbing, struct buffer *out, struct error *err) {
    if (dubbing->part.sample_count == 0)
        return true;
    const char *path = work_input(dubbing->context, SOURCE_SPEECH, err);
    return path && (file_read(path, (size_t)dubbing->part.sample_count * sizeof(int16_t), out, err) ||
                    error_wrap(err, "speech of %s", dubbing->part.language->language));
}

static bool load_speech(struct dubbing *dubbing, struct error *err) {
    int64_t started = step_start();
    _cleanup_buffer_ struct buffer bytes = {0};
    if (!read_speech(dubbing, &bytes, err))
        return false;
    _cleanup_audio_ struct audio audio = {.count = (int64_t)(bytes.length / sizeof(int16_t))};
    audio.samples = xnew_array(float, (size_t)audio.count);
    for (int64_t i = 0; i < audio.count; i++) {
        int16_t sample;
        memcpy(&sample, bytes.data + (size_t)i * sizeof sample, sizeof sample);
        audio.samples[i] = (float)sample / INT16_MAX;
    }
    mel_make(&audio, &dubbing->mel);
    step_stop(dubbing->times, STEP_MEL, started);
    return true;
}

static bool load_networks(struct dubbing *dubbing, struct error *err) {
    const struct campaign_options *options = &dubbing->context->campaign->options;
    dubbing->lips = models_lips(dubbing->context->models, options->lips, err);
    if (!dubbing->lips)
        return false;
    dubbing->crop_size = dubbing->patch_size = lips_size(dubbing->lips);
    if (!options->enhance)
        return true;
    dubbing->enhance = models_enhance(dubbing->context->models, err);
    if (dubbing->enhance)
        dubbing->patch_size *= enhance_scale(dubbing->enhance);
    return dubbing->enhance != NULL;
}

static bool choose_output(struct dubbing *dubbing, struct error *err) {
    const struct job_context *context = dubbing->context;
    if (!dub_part_find(context->plan, &context->job, &dubbing->part, err))
        return false;
    dubbing->output = dubbing->part.output;
    dubbing->segment = dubbing->part.segment;
    atomic_store(&context->progress->of, dubbing->output->frames);
    return true;
}

static bool dub_compute(struct dubbing *dubbing, struct error *err) {
    _cleanup_video_reader_ struct video_reader *reader = master_open(dubbing->context, dubbing->times, err);
    if (!reader || !load_track(dubbing, err) || !load_speech(dubbing, err))
        return false;
    dubbing->reader = reader;
    dubbing->info = *video_reader_info(reader);
    if (!dubbing->output->reversed &&
        !video_seek(reader, dubbing->segment->start_pts, dubbing->segment->first_frame, err))
        return false;
    if (!work_enter(dubbing->context, dubbing->times, err))
        return false;
    atomic_store(&dubbing->context->progress->step, STEP_LIPS);
    bool loaded = load_networks(dubbing, err);
    if (loaded) {
        size_t batch = (size_t)lips_batch(dubbing->lips);
        dubbing->room = frame_room_find(&dubbing->info, batch, dubbing->output->reversed);
        dub_start_threads(dubbing);
        dub_generate(dubbing);
        if (dubbing->decoding)
            pthread_join(dubbing->decoder, NULL);
    }
    /* Not before the decoder has ended: it uses the lips network's template, and the next job may unload that network.
     * Not later either: the next job can generate while this one's last frames are encoded. */
    work_leave(dubbing->context, dubbing->times);
    return loaded && dub_join_encoder(dubbing, err);
}

bool dub_job_run(const struct job_context *context, struct step_times *times, struct work_result *result,
                 struct error *err) {
    _cleanup_free_ char *path = work_path(context, TARGET_DUB);
    struct dubbing dubbing = {.context = context, .times = times, .path = path};
    bool done = choose_output(&dubbing, err) && dub_compute(&dubbing, err);
    track_free(&dubbing.track);
    mel_free(&dubbing.mel);
    json_object_set_new(result->report, "frames", json_integer(dubbing.encoded));
    return done;
}
