#include "diffusion/guidance.h"

#include <math.h>

/* The deviation, times the root of the count: only ratios are wanted. */
static double spread(const float *values, size_t count) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    double mean = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    return sqrt(squares);
}

void guidance_combine(const float *negative, const float *positive, float scale, float rescale, size_t count,
                      float *out) {
    double wanted = rescale > 0 ? spread(positive, count) : 0;
    for (size_t i = 0; i < count; i++)
        out[i] = negative[i] + scale * (positive[i] - negative[i]);
    if (!(rescale > 0))
        return;
    float ratio = (float)(wanted / spread(out, count));
    for (size_t i = 0; i < count; i++)
        out[i] = rescale * (out[i] * ratio) + (1 - rescale) * out[i];
}

void guidance_embed(float scale, int width, float *out) {
    int half = width / 2;
    for (int i = 0; i < half; i++) {
        double angle = (scale - 1) * 1000.0 * exp(-log(10000) / (half - 1) * i);
        out[i] = (float)sin(angle);
        out[half + i] = (float)cos(angle);
    }
}
