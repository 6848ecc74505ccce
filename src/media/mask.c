#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "media/image.h"

/* Squared distances of a row's pixels to one edge; `nearest` keeps the least so far. Pixels further than
 * `reach` from the edge's box are left out. */
static void measure_row(float *restrict nearest, int first, int count, float y, struct point a, struct point b,
                        float reach) {
    if (y < fminf(a.y, b.y) - reach || y > fmaxf(a.y, b.y) + reach)
        return;
    int begin = (int)CLAMP(ceilf(fminf(a.x, b.x) - reach) - (float)first, 0, (float)count);
    int end = (int)CLAMP(floorf(fmaxf(a.x, b.x) + reach) - (float)first + 1, 0, (float)count);
    float dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
    float inverse = length > 0 ? 1 / length : 0, py = y - a.y, left = (float)first - a.x;
    for (int i = begin; i < end; i++) {
        float px = left + (float)i, t = (px * dx + py * dy) * inverse;
        t = t > 0 ? t : 0;
        t = t < 1 ? t : 1;
        float ex = px - t * dx, ey = py - t * dy, distance = ex * ex + ey * ey;
        nearest[i] = distance < nearest[i] ? distance : nearest[i];
    }
}

/* Flips the pixels right of where the row crosses the edge: even-odd rule. */
static void cross_row(int *restrict inside, int first, int count, float y, struct point a, struct point b) {
    if ((a.y <= y) == (b.y <= y))
        return;
    float x = a.x + (y - a.y) * (b.x - a.x) / (b.y - a.y);
    for (int i = 0; i < count; i++)
        inside[i] ^= (float)(first + i) > x;
}

static void fill_row(const struct point *points, int n, int first, int count, float y, float feather, int *inside,
                     float *row) {
    memset(inside, 0, sizeof *inside * (size_t)count);
    for (int i = 0; i < count; i++)
        row[i] = INFINITY;
    for (int i = 0; i < n; i++) {
        struct point a = points[i], b = points[(i + 1) % n];
        cross_row(inside, first, count, y, a, b);
        measure_row(row, first, count, y, a, b, feather);
    }
    float inverse = feather > 0 ? 1 / feather : INFINITY;
    for (int i = 0; i < count; i++) {
        float value = inside[i] ? sqrtf(row[i]) * inverse : 0;
        row[i] = value < 1 ? value : 1; /* NaN (an edge without feather) is 1 as well */
    }
}

void image_mask_polygon(const struct point *points, int n, int size, float feather, float *mask) {
    memset(mask, 0, sizeof *mask * (size_t)size * (size_t)size);
    float left = INFINITY, right = -INFINITY, top = INFINITY, bottom = -INFINITY;
    for (int i = 0; i < n; i++) {
        left = fminf(left, points[i].x);
        right = fmaxf(right, points[i].x);
        top = fminf(top, points[i].y);
        bottom = fmaxf(bottom, points[i].y);
    }
    int first = (int)CLAMP(ceilf(left), 0, (float)size), last = (int)CLAMP(floorf(right), -1, (float)size - 1);
    int first_row = (int)CLAMP(ceilf(top), 0, (float)size), last_row = (int)CLAMP(floorf(bottom), -1, (float)size - 1);
    if (n < 3 || last < first)
        return;
    _cleanup_free_ int *inside = xnew_array(int, (size_t)(last - first + 1));
    for (int y = first_row; y <= last_row; y++)
        fill_row(points, n, first, last - first + 1, (float)y, feather, inside, mask + (ptrdiff_t)y * size + first);
}
