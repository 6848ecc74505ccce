#include "media/audio.h"

#include "base/memory.h"
#include "media/audio_source.h"

enum { PIECE = AUDIO_RATE };

bool audio_read(const char *path, struct audio *out, struct error *err) {
    *out = (struct audio){0};
    _cleanup_audio_source_ struct audio_source *source = audio_source_open(path, AUDIO_RATE, 1, NULL, err);
    if (!source)
        return false;
    _cleanup_audio_ struct audio audio = {0};
    int64_t capacity = 0;
    for (int got = PIECE; got == PIECE; audio.count += got) {
        if (audio.count + PIECE > capacity) {
            capacity = 2 * capacity + PIECE;
            audio.samples = xreallocarray(audio.samples, (size_t)capacity, sizeof *audio.samples);
        }
        if (!audio_source_read(source, (float *[]){audio.samples + audio.count}, PIECE, &got, err))
            return false;
    }
    *out = audio;
    audio.samples = NULL;
    return true;
}

void audio_free(struct audio *audio) {
    free(audio->samples);
    *audio = (struct audio){0};
}

bool audio_each(const char *path, bool (*visit)(const float *samples, int count, void *context, struct error *err),
                void *context, const atomic_bool *cancel, int64_t *count, struct error *err) {
    _cleanup_audio_source_ struct audio_source *source = audio_source_open(path, AUDIO_RATE, 1, cancel, err);
    if (!source)
        return false;
    _cleanup_free_ float *piece = xnew_array(float, PIECE);
    *count = 0;
    for (int got = PIECE; got == PIECE; *count += got)
        if (!audio_source_read(source, (float *[]){piece}, PIECE, &got, err) || !visit(piece, got, context, err))
            return false;
    return true;
}
