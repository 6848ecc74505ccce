/* A face as a detector finds it. */
#pragma once

#include "media/affine.h"

/* All in pixels of the frame, or of the network's input while model/decode.h works on it. */
struct face {
    float x, y, width, height; /* box: left and upper edge, size */
    float score;               /* 0 to 1 */
    struct point eyes[2];      /* centres, the face's right eye first (left in the picture) */
    struct point mouth;        /* centre */
};
