/* Speech for tests, without FFmpeg. */
#pragma once

#include "base/file.h"
#include "media/audio.h"
#include "test.h"

/* Writes a WAV file of `seconds`: 16 kHz, mono, 16 bit, a square wave of 250 Hz. */
static inline void wav_write(const char *path, uint32_t seconds) {
    uint32_t count = seconds * AUDIO_RATE, bytes = count * sizeof(int16_t);
    struct {
        char riff[4];
        uint32_t size;
        char wave[8];
        uint32_t format_size;
        uint16_t format, channels;
        uint32_t rate, bytes_a_second;
        uint16_t block, bits;
        char data[4];
        uint32_t data_size;
    } head = {"RIFF", 36 + bytes, "WAVEfmt ", 16, 1, 1, AUDIO_RATE, 2 * AUDIO_RATE, 2, 16, "data", bytes};
    _cleanup_buffer_ struct buffer wav = {0};
    struct error err;
    buffer_append(&wav, &head, sizeof head);
    for (uint32_t i = 0; i < count; i++)
        buffer_append(&wav, &(int16_t){i / 32 % 2 ? 8000 : -8000}, sizeof(int16_t));
    assert_ok(file_write_atomic(path, wav.data, wav.length, 0644, &err), err);
}
