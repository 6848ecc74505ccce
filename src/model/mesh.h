/* Face Mesh: 468 landmarks of a face. */
#pragma once

#include "model/detect.h"

enum { MESH_POINTS = 468 };

struct mesh_face {
    struct point points[MESH_POINTS]; /* frame pixels */
    float presence;                   /* 0 to 1; below 0.5: no face here */
};

struct mesh;
struct mesh *mesh_open(const struct zoo *zoo, const char *name, const struct device *device,
                       struct error *err) must_check;
void mesh_close(struct mesh *mesh);
DEFINE_CLEANUP(struct mesh *, mesh_close)
#define _cleanup_mesh_ _cleanup_(mesh_close_cleanup)
/* Where to look: from a detection, or from the landmarks of the frame before (tracking). */
struct affine mesh_region_of_face(const struct face *face);
struct affine mesh_region_of_landmarks(const struct mesh_face *before);
bool mesh_run(struct mesh *mesh, const struct frame *frame, const struct affine *region, struct mesh_face *out,
              struct error *err) must_check;
/* Inner lips' distance (13-14) over the face's height (10-152): how open the mouth is. */
double mesh_mouth_opening(const struct mesh_face *face);
