#include "dub/track_file.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "farm/limits.h"

/* Points of the canonical face model (MediaPipe, canonical_face_model_uv_visualization): the eyes' corners,
 * the nose's tip, the mouth's corners; then jaw from ear to ear and back over the cheeks and below the nose.
 */
static const int right_eye[] = {33, 133}, left_eye[] = {362, 263};
enum { NOSE_TIP = 1, MOUTH_RIGHT = 61, MOUTH_LEFT = 291 };
static const int outline[TRACK_OUTLINE] = {58,  172, 136, 150, 149, 176, 148, 152, 377, 400,
                                           378, 379, 365, 397, 288, 411, 425, 2,   205, 187};

static const char magic[8] = "MELATRK1";

void track_free(struct track *track) {
    free(track->frames);
    *track = (struct track){0};
}

void track_frame_set_face(struct track_frame *frame, const struct mesh_face *face) {
    const struct point *p = face->points;
    frame->present = 1;
    frame->align[0] = point_middle(p[right_eye[0]], p[right_eye[1]]);
    frame->align[1] = point_middle(p[left_eye[0]], p[left_eye[1]]);
    frame->align[2] = p[NOSE_TIP];
    frame->align[3] = p[MOUTH_RIGHT];
    frame->align[4] = p[MOUTH_LEFT];
    for (int i = 0; i < TRACK_OUTLINE; i++)
        frame->outline[i] = p[outline[i]];
    frame->box[0] = frame->box[1] = p[0];
    for (int i = 1; i < MESH_POINTS; i++) {
        frame->box[0] = (struct point){MIN(frame->box[0].x, p[i].x), MIN(frame->box[0].y, p[i].y)};
        frame->box[1] = (struct point){MAX(frame->box[1].x, p[i].x), MAX(frame->box[1].y, p[i].y)};
    }
}

static void points_add_weighted(struct point *sums, const struct point *points, int count, float weight) {
    for (int i = 0; i < count; i++) {
        sums[i].x += weight * points[i].x;
        sums[i].y += weight * points[i].y;
    }
}

static void smooth_frame(const struct track *from, int64_t at, struct track_frame *out) {
    static const float weights[] = {6, 4, 1}; /* binomial, by distance */
    struct point align[TRACK_ALIGN] = {0}, edge[TRACK_OUTLINE] = {0};
    float total = 0;
    for (int side = -1; side <= 1; side += 2)
        for (int distance = side < 0 ? 0 : 1; distance < (int)ARRAY_LENGTH(weights); distance++) {
            int64_t i = at + side * distance;
            if (i < 0 || i >= from->count || !from->frames[i].present || from->frames[i].shot != out->shot)
                break; /* nothing beyond a cut or a gap belongs to this run of frames */
            points_add_weighted(align, from->frames[i].align, TRACK_ALIGN, weights[distance]);
            points_add_weighted(edge, from->frames[i].outline, TRACK_OUTLINE, weights[distance]);
            total += weights[distance];
        }
    memset(out->align, 0, sizeof out->align);
    memset(out->outline, 0, sizeof out->outline);
    points_add_weighted(out->align, align, TRACK_ALIGN, 1 / total);
    points_add_weighted(out->outline, edge, TRACK_OUTLINE, 1 / total);
}

void track_smooth(struct track *track) {
    struct track raw = {.frames = xnew_array(struct track_frame, (size_t)track->count), .count = track->count};
    memcpy(raw.frames, track->frames, (size_t)track->count * sizeof *raw.frames);
    for (int64_t i = 0; i < track->count; i++)
        if (track->frames[i].present)
            smooth_frame(&raw, i, &track->frames[i]);
    track_free(&raw);
}

json_t *track_faceless(const struct track *track, int64_t first_frame) {
    json_t *ranges = json_array();
    for (int64_t i = 0; i < track->count; i++) {
        if (track->frames[i].present)
            continue;
        int64_t first = i;
        while (i + 1 < track->count && !track->frames[i + 1].present)
            i++;
        json_array_append_new(ranges,
                              json_pack("[I,I]", (json_int_t)(first_frame + first), (json_int_t)(first_frame + i)));
    }
    return ranges;
}

bool track_write(const struct track *track, const char *path, struct error *err) {
    _cleanup_buffer_ struct buffer bytes = {0};
    buffer_append(&bytes, magic, sizeof magic);
    buffer_append(&bytes, track->frames, (size_t)track->count * sizeof *track->frames);
    if (!limit_check(LIMIT_TRACK_BYTES, (double)bytes.length, "the film", err))
        return false;
    return file_write_atomic(path, bytes.data, bytes.length, 0644, err);
}

/* Within what any picture's faces reach, so that sums stay numbers; false for NaN. */
static bool points_are_near(const struct point *points, int count) {
    const float far = 1e6F;
    for (int i = 0; i < count; i++)
        if (!(fabsf(points[i].x) <= far && fabsf(points[i].y) <= far))
            return false;
    return true;
}

/* What a dub relies on: frames one after the other, and faces that lie near the picture. */
static bool frames_are_sound(const struct track *track) {
    for (int64_t i = 0; i < track->count; i++) {
        const struct track_frame *frame = &track->frames[i];
        if (frame->duration < 1 || frame->shot < 0 || (i > 0 && frame->pts <= track->frames[i - 1].pts))
            return false;
        if (frame->present &&
            (!points_are_near(frame->align, TRACK_ALIGN) || !points_are_near(frame->outline, TRACK_OUTLINE)))
            return false;
    }
    return true;
}

bool track_read(const struct buffer *bytes, struct track *out, struct error *err) {
    size_t size = bytes->length - sizeof magic;
    if (bytes->length > sizeof magic && memcmp(bytes->data, magic, sizeof magic) == 0 &&
        size % sizeof *out->frames == 0) {
        out->count = (int64_t)(size / sizeof *out->frames);
        out->frames = xnew_array(struct track_frame, (size_t)out->count);
        memcpy(out->frames, bytes->data + sizeof magic, size);
        if (frames_are_sound(out))
            return true;
        track_free(out);
    }
    return error_set(err, ERR_INTERNAL, "the face track was not written by this version of mela");
}
