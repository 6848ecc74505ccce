/* Whole pictures through the enhancer, tile by tile. Private to this room. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "model/enhance.h"

/* Makes an RGB picture, [height][width][3], enhance_scale times as large in both directions: writes `out`. Its memory
 * does not grow with the picture. `cancelled`, model.run. */
bool enlarge_picture(struct enhance *enhance, const uint8_t *rgb, int width, int height, uint8_t *out,
                     const atomic_bool *cancel, struct error *err) must_check;
