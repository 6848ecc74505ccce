/* Sound: any file FFmpeg reads, as 16 kHz mono samples. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/error.h"

enum { AUDIO_RATE = 16000 };

struct audio {
    float *samples; /* mono, -1 to 1, AUDIO_RATE a second */
    int64_t count;
};

/* Decodes the whole file (a minute is 3.8 MB); all channels are mixed into one. media.not_found, media.empty,
 * media.invalid, media.no_audio, media.corrupt with the time, media.unsupported, media.limit. */
bool audio_read(const char *path, struct audio *out, struct error *err) must_check;
/* Frees the samples, not the struct, which is then empty. */
void audio_free(struct audio *audio);
#define _cleanup_audio_ _cleanup_(audio_free)
/* The same, but decoded piece by piece, so that memory does not grow: `visit` is called with up to a second at a time,
 * and returns false with *err to stop. The samples are lent for the call. *count: samples in all. `cancel` (may
 * be NULL) stops it within a packet, with `cancelled`. */
bool audio_each(const char *path, bool (*visit)(const float *samples, int count, void *context, struct error *err),
                void *context, const atomic_bool *cancel, int64_t *count, struct error *err) must_check;
