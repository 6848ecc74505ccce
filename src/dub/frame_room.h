/* How many frames a dub holds at once. Private to this room. */
#pragma once

#include "media/video.h"

struct frame_room {
    size_t batch; /* frames that the networks take at once: fewer than they could where pictures are large */
    size_t ring;  /* of each of the two rings */
    size_t chunk; /* frames decoded at a time when going backwards */
};

/* Room for a dub of such pictures, whose network takes `batch` faces: all of it together stays below LIMIT_FRAME_BYTES.
 * An ordinary film gets whole batches and rings as long: with less, the generator waits for frames before each run and
 * for room behind it. A large one gets shorter rings first. What decoder and encoder hold for themselves is not
 * counted. */
struct frame_room frame_room_find(const struct video_info *info, size_t batch, bool reversed);
