/* The face track of one segment: per frame its time, its shot, whether there is a face, and the landmarks
 * dubbing needs. */
#pragma once

#include "base/buffer.h"
#include "farm/plan.h"
#include "model/mesh.h"

/* Face Mesh indices of the five points a crop is aligned by, and of the lower face's outline a blend is
 * masked by. */
enum { TRACK_ALIGN = 5, TRACK_OUTLINE = 20 };

struct track_frame {
    int64_t pts, duration; /* ticks of the master's time base */
    int32_t shot;
    int32_t present;                     /* 1 when there is a face to dub */
    struct point box[2];                 /* corners of the face's box, frame pixels */
    struct point align[TRACK_ALIGN];     /* eyes' centres, nose tip, mouth corners; right eye first */
    struct point outline[TRACK_OUTLINE]; /* polygon around mouth, cheeks and jaw */
};

struct track {
    struct track_frame *frames;
    int64_t count;
};

void track_free(struct track *track);
#define _cleanup_track_ _cleanup_(track_free)

/* Fills alignment and outline from a mesh. */
void track_frame_set_face(struct track_frame *frame, const struct mesh_face *face);
/* Averages landmarks over neighbouring frames of the same shot that have a face (binomial window, five frames
 * wide). */
void track_smooth(struct track *track);
/* [[first,last],...]: runs of frames without a face, counted from the segment's first frame. New reference.
 */
json_t *track_faceless(const struct track *track, int64_t first_frame);

bool track_write(const struct track *track, const char *path, struct error *err) must_check;
/* From bytes of the store; internal when they are no track: one frame or more, ascending, landmarks near a picture.
 */
bool track_read(const struct buffer *bytes, struct track *out, struct error *err) must_check;
