/* The part of a campaign that says which pictures to draw: "images" of its spec. Private to this room. */
#pragma once

#include "farm/campaign.h"
#include "farm/spec.h"

/* Reads it from the spec's root. A seed that is missing follows from the campaign's id and the prompt's number, so that
 * a request that is repeated asks for the same pictures. */
void image_spec_read(struct spec *spec, const json_t *root, struct campaign *campaign);
/* Adds it, with every default and seed filled in, to what is stored. */
void image_spec_write(const struct campaign *campaign, json_t *out);
/* Appends {"path","message"} for each size, at the first prompt that has it, for which the model was not trained. */
void image_spec_warn(const struct campaign *campaign, json_t *warnings);
/* Frees it; safe on zeros. */
void image_spec_clear(struct campaign *campaign);
