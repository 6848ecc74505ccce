#include "media/affine.h"

struct affine affine_inverse(struct affine m) {
    double k = 1 / (m.a * m.e - m.b * m.d);
    struct affine inverse = {.a = m.e * k, .b = -m.b * k, .d = -m.d * k, .e = m.a * k};
    inverse.c = -(inverse.a * m.c + inverse.b * m.f);
    inverse.f = -(inverse.d * m.c + inverse.e * m.f);
    return inverse;
}

struct point affine_apply(const struct affine *m, struct point p) {
    return (struct point){(float)(m->a * p.x + m->b * p.y + m->c), (float)(m->d * p.x + m->e * p.y + m->f)};
}

static void mean_of(const struct point *points, int n, double *x, double *y) {
    *x = *y = 0;
    for (int i = 0; i < n; i++) {
        *x += points[i].x / n;
        *y += points[i].y / n;
    }
}

/* In the plane Umeyama's solution is a complex division: rotation and scale = sum(conj(p) q) / sum(|p|^2),
 * with p and q measured from their means. Points that coincide give the identity's rotation and scale. */
struct affine affine_similarity(const struct point *from, const struct point *to, int n) {
    double from_x, from_y, to_x, to_y, re = 0, im = 0, norm = 0;
    mean_of(from, n, &from_x, &from_y);
    mean_of(to, n, &to_x, &to_y);
    for (int i = 0; i < n; i++) {
        double px = from[i].x - from_x, py = from[i].y - from_y, qx = to[i].x - to_x, qy = to[i].y - to_y;
        re += px * qx + py * qy;
        im += px * qy - py * qx;
        norm += px * px + py * py;
    }
    double a = norm > 0 ? re / norm : 1, b = norm > 0 ? im / norm : 0;
    return (struct affine){a, -b, to_x - a * from_x + b * from_y, b, a, to_y - b * from_x - a * from_y};
}
