/* Points of the plane, and the maps between a crop and its frame. */
#pragma once

struct point {
    float x, y;
};
/* Maps crop pixel centres to frame pixels: x = a*u + b*v + c, y = d*u + e*v + f, u and v in crop pixels. */
struct affine {
    double a, b, c, d, e, f;
};

static inline struct point point_middle(struct point a, struct point b) {
    return (struct point){(a.x + b.x) / 2, (a.y + b.y) / 2};
}

/* The map back; m must not squash the plane (a*e != b*d). */
struct affine affine_inverse(struct affine m);
struct point affine_apply(const struct affine *m, struct point p);
/* The similarity (rotation, uniform scale, shift) that takes the `n` points `from` to `to` with least squares (Umeyama
 * 1991); n >= 2. */
struct affine affine_similarity(const struct point *from, const struct point *to, int n);
