#include "dub/frame_room.h"

#include "base/memory.h"
#include "farm/limits.h"

enum { REVERSE_CHUNK = 32 };

struct frame_room frame_room_find(const struct video_info *info, size_t batch, bool reversed) {
    size_t bytes = video_frame_bytes(info), frames = (size_t)limit_most(LIMIT_FRAME_BYTES) / bytes;
    struct frame_room room = {.chunk = reversed ? CLAMP(frames / 8, 1, REVERSE_CHUNK) : 1};
    size_t left = frames > room.chunk ? frames - room.chunk : 1;
    room.batch = CLAMP(left * 3 / 4, 1, batch);
    room.ring = CLAMP((left - MIN(left, room.batch)) / 2, 1, batch);
    return room;
}
