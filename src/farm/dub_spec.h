/* The part of a campaign that says what to dub: "video", "dubs" and "options" of its spec. Private to this room. */
#pragma once

#include "farm/campaign.h"
#include "farm/spec.h"

/* Reads it from the spec's root. */
void dub_spec_read(struct spec *spec, const json_t *root, struct campaign *campaign);
/* Adds it, with every default, to what is stored. */
void dub_spec_write(const struct campaign *campaign, json_t *out);
/* Frees it; safe on zeros. */
void dub_spec_clear(struct campaign *campaign);
