/* media: pictures and sound. Reading, writing, shot cuts, mel spectrograms, crops and blends; FFmpeg stays in
 * here.
 *
 * It promises: frames come upright, in the master's own pixel format and with its own timestamps; what was
 * tagged (colour, range, aspect) stays tagged; pixels outside a blend's mask are never touched; memory does
 * not grow with the length of a film; a file is held to the limits of farm/limits.h, and its reading ends soon after
 * the flag that was given is raised. It knows nothing of campaigns, queues or models. */
#pragma once

#include "media/audio.h"
#include "media/image.h"
#include "media/mel.h"
#include "media/video.h"

/* Keeps FFmpeg from writing to stderr, and from asking for one huge piece of memory; for a `main`, as base/process.h
 * says. */
void media_process_begin(void);
/* FFmpeg's own version, such as "5.1.9". Static. */
const char *media_version(void);
