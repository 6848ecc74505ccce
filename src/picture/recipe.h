/* How pictures are said again: as a spec that asks for them once more, and as the text that other programs show.
 * Private to this room. */
#pragma once

#include "base/json.h"
#include "farm/images.h"

/* The "images" of a spec that asks for the pictures of this part and no others. New reference. */
json_t *recipe_of_part(const struct images *images, const struct image_part *part);
/* What AUTOMATIC1111's web UI writes under the key "parameters": prompt, negative prompt, settings. `origin` is
 * painter_origin's. The caller frees it. */
char *recipe_parameters(const struct images *images, const struct image_prompt *prompt, uint32_t seed, int width,
                        int height, const json_t *origin);
