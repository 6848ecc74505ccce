/* The face track of one segment: per frame its time, its shot, whether there is a face, and the landmarks that dubbing
 * needs. A file is eight bytes of magic and the structs below as they lie in memory, which is the same on x86-64 and
 * 64-bit Arm; the magic changes with them. */
#pragma once

#include "base/buffer.h"
#include "farm/plan.h"
#include "model/mesh.h"

/* How many points a crop is aligned by, and how many make the lower face's outline that masks a blend. */
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

/* Frees the frames, not the struct, which is then empty. */
void track_free(struct track *track);
#define _cleanup_track_ _cleanup_(track_free)

/* Marks the face as present and sets its box, alignment and outline from a mesh. */
void track_frame_set_face(struct track_frame *frame, const struct mesh_face *face);
/* Averages landmarks over neighbouring frames of the same shot that have a face (binomial window, five frames
 * wide). */
void track_smooth(struct track *track);
/* [[first,last],...]: runs of frames without a face, by their numbers in the master, where the segment begins with
 * `first_frame`. New reference. */
json_t *track_faceless(const struct track *track, int64_t first_frame);

/* Writes the file at `path`, whole or not at all, but nothing that is too large to be read again: media.limit. io,
 * disk.full. */
bool track_write(const struct track *track, const char *path, struct error *err) must_check;
/* From the bytes of such a file; internal when they are no track: one frame or more, times ascending, landmarks near a
 * picture. The caller frees *out. */
bool track_read(const struct buffer *bytes, struct track *out, struct error *err) must_check;
