/* Sound, decoded and resampled piece by piece. Only for the .c files of this room. */
#pragma once

#include "media/ffmpeg.h"

struct audio_source;
/* Decodes the best audio stream of `path` into planar float at `rate` with `channels` (1 or 2; 0: 1 for mono
 * sources, 2 for all others). `cancel` (may be NULL) must outlive it. media.no_audio and what media_open says. */
struct audio_source *audio_source_open(const char *path, int rate, int channels, const atomic_bool *cancel,
                                       struct error *err) must_check;
void audio_source_free(struct audio_source *source);
DEFINE_CLEANUP(struct audio_source *, audio_source_free)
#define _cleanup_audio_source_ _cleanup_(audio_source_free_cleanup)
/* 1 or 2. */
int audio_source_channels(const struct audio_source *source);
/* Fills up to `wanted` samples a channel; *got is less only at the end. media.corrupt with the time, media.limit,
 * cancelled. */
bool audio_source_read(struct audio_source *source, float *const *planes, int wanted, int *got,
                       struct error *err) must_check;
