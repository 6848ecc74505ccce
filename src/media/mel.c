/* Wav2Lip's mel spectrogram: hparams.py and audio.py of Rudrabha/Wav2Lip over librosa 0.7.0 (centred frames,
 * reflect padding, Slaney's mel scale and norm). Checked in tests/media/test_mel.py against the same written
 * in numpy. */
#include "media/mel.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { FFT_SIZE = 800, HOP = AUDIO_RATE / MEL_PER_SECOND, BINS = FFT_SIZE / 2 + 1 };
#define PRE_EMPHASIS 0.97f
#define LOW_HZ 55.0
#define HIGH_HZ 7600.0
#define LEAST_MAGNITUDE 1e-5
#define REFERENCE_DB 20.0
#define LEAST_DB (-100.0)
#define MAX_VALUE 4.0f

struct complex_number {
    float re, im;
};

struct mel_tables {
    float window[FFT_SIZE];
    struct complex_number twiddle[FFT_SIZE]; /* exp(-2 pi i k / FFT_SIZE) */
    int first[MEL_BANDS], count[MEL_BANDS];  /* the bins that add to a band */
    float weight[MEL_BANDS][BINS];
};

/* --- Slaney's mel scale: linear below 1 kHz, logarithmic above --- */

static const double hz_per_mel = 200.0 / 3, log_start_hz = 1000, log_start_mel = 15;

static double mel_of(double hz) {
    return hz < log_start_hz ? hz / hz_per_mel : log_start_mel + log(hz / log_start_hz) * 27 / log(6.4);
}

static double hz_of(double mel) {
    return mel < log_start_mel ? mel * hz_per_mel : log_start_hz * exp((mel - log_start_mel) * log(6.4) / 27);
}

/* Triangles between neighbouring points of the scale, each of area 2 / width (Slaney's norm). */
static void fill_bands(struct mel_tables *tables) {
    double points[MEL_BANDS + 2], low = mel_of(LOW_HZ), high = mel_of(HIGH_HZ);
    for (int i = 0; i < MEL_BANDS + 2; i++)
        points[i] = hz_of(low + (high - low) * i / (MEL_BANDS + 1));
    for (int band = 0; band < MEL_BANDS; band++) {
        double left = points[band], middle = points[band + 1], right = points[band + 2];
        for (int bin = 0; bin < BINS; bin++) {
            double hz = (double)bin * AUDIO_RATE / FFT_SIZE;
            double height = fmin((hz - left) / (middle - left), (right - hz) / (right - middle));
            if (height <= 0)
                continue;
            if (tables->count[band]++ == 0)
                tables->first[band] = bin;
            tables->weight[band][bin] = (float)(height * 2 / (right - left));
        }
    }
}

static void fill_tables(struct mel_tables *tables) {
    for (int i = 0; i < FFT_SIZE; i++) {
        double angle = 2 * M_PI * i / FFT_SIZE;
        tables->window[i] = (float)(0.5 - 0.5 * cos(angle)); /* Hann, periodic */
        tables->twiddle[i] = (struct complex_number){(float)cos(angle), (float)-sin(angle)};
    }
    fill_bands(tables);
}

/* --- a Fourier transform for 800 = 4 4 2 5 5 --- */

static struct complex_number complex_multiply(struct complex_number a, struct complex_number b) {
    return (struct complex_number){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* Transforms `n` values that lie `stride` apart in `in`; decimation in time with the smallest factor
 * (Cooley-Tukey). FFmpeg's av_tx knows this size only from 6.1 on. */
static void fourier_transform(const struct mel_tables *tables, const struct complex_number *in,
                              struct complex_number *out, int n, int stride) {
    if (n == 1) {
        *out = *in;
        return;
    }
    int radix = n % 4 == 0 ? 4 : n % 2 == 0 ? 2 : 5, part = n / radix;
    for (int r = 0; r < radix; r++)
        fourier_transform(tables, in + r * stride, out + r * part, part, stride * radix);
    int step = FFT_SIZE / n;
    for (int k = 0; k < part; k++) {
        struct complex_number terms[5];
        for (int r = 0; r < radix; r++)
            terms[r] = complex_multiply(out[r * part + k], tables->twiddle[r * k * step]);
        for (int q = 0; q < radix; q++) {
            struct complex_number sum = terms[0];
            for (int r = 1; r < radix; r++) {
                struct complex_number term =
                    complex_multiply(terms[r], tables->twiddle[r * q * part * step % FFT_SIZE]);
                sum.re += term.re;
                sum.im += term.im;
            }
            out[q * part + k] = sum;
        }
    }
}

/* --- columns --- */

/* numpy's "reflect": the border sample itself is not repeated. */
static int64_t mel_reflect(int64_t i, int64_t count) {
    int64_t period = MAX(2 * (count - 1), 1);
    i = ((i % period) + period) % period;
    return MIN(i, period - i) < count ? MIN(i, period - i) : 0;
}

static float emphasized(const struct audio *audio, int64_t i) {
    return i == 0 ? audio->samples[0] : audio->samples[i] - PRE_EMPHASIS * audio->samples[i - 1];
}

static float band_value(double magnitude) {
    double db = 20 * log10(fmax(LEAST_MAGNITUDE, magnitude)) - REFERENCE_DB;
    double scaled = 2 * MAX_VALUE * (db - LEAST_DB) / -LEAST_DB - MAX_VALUE;
    return (float)CLAMP(scaled, -MAX_VALUE, MAX_VALUE);
}

static void make_column(const struct mel_tables *tables, const struct audio *audio, int64_t column, float *values) {
    struct complex_number samples[FFT_SIZE], spectrum[FFT_SIZE];
    for (int i = 0; i < FFT_SIZE; i++) {
        int64_t at = mel_reflect(column * HOP + i - FFT_SIZE / 2, audio->count);
        samples[i] = (struct complex_number){emphasized(audio, at) * tables->window[i], 0};
    }
    fourier_transform(tables, samples, spectrum, FFT_SIZE, 1);
    float magnitude[BINS];
    for (int bin = 0; bin < BINS; bin++)
        magnitude[bin] = hypotf(spectrum[bin].re, spectrum[bin].im);
    for (int band = 0; band < MEL_BANDS; band++) {
        double sum = 0;
        for (int bin = tables->first[band]; bin < tables->first[band] + tables->count[band]; bin++)
            sum += (double)tables->weight[band][bin] * magnitude[bin];
        values[band] = band_value(sum);
    }
}

void mel_make(const struct audio *audio, struct mel *out) {
    *out = (struct mel){0};
    if (audio->count == 0)
        return;
    _cleanup_free_ struct mel_tables *tables = xnew(struct mel_tables);
    fill_tables(tables);
    out->frames = 1 + audio->count / HOP;
    out->values = xnew_array(float, (size_t)out->frames *MEL_BANDS);
    for (int64_t column = 0; column < out->frames; column++)
        make_column(tables, audio, column, out->values + column * MEL_BANDS);
}

void mel_free(struct mel *mel) {
    free(mel->values);
    *mel = (struct mel){0};
}

void mel_window(const struct mel *mel, double seconds, float out[MEL_BANDS * MEL_WINDOW]) {
    /* A frame that falls exactly on a column must not slip to the one before by a rounding error. */
    int64_t start = (int64_t)floor(seconds * MEL_PER_SECOND + 1e-6);
    for (int i = 0; i < MEL_WINDOW; i++) {
        bool inside = start + i >= 0 && start + i < mel->frames;
        for (int band = 0; band < MEL_BANDS; band++)
            out[band * MEL_WINDOW + i] = inside ? mel->values[(start + i) * MEL_BANDS + band] : -MAX_VALUE;
    }
}
