/* The mel spectrogram that Wav2Lip was trained on (Wav2Lip's hparams.py and audio.py; the numbers are in mel.c). */
#pragma once

#include "media/audio.h"

enum { MEL_BANDS = 80, MEL_WINDOW = 16, MEL_PER_SECOND = 80 };

struct mel {
    float *values; /* [frames][MEL_BANDS], -4 to 4 */
    int64_t frames;
};

/* The spectrogram of the whole sound, silence being -4; of no sound it is empty. The caller frees it with mel_free. */
void mel_make(const struct audio *audio, struct mel *out);
void mel_free(struct mel *mel);
#define _cleanup_mel_ _cleanup_(mel_free)
/* The window for the video frame shown at `seconds`: MEL_WINDOW columns from floor(seconds * MEL_PER_SECOND),
 * as [MEL_BANDS][MEL_WINDOW] the way the network takes it. Past either end it is filled with silence (-4). */
void mel_window(const struct mel *mel, double seconds, float out[MEL_BANDS * MEL_WINDOW]);
