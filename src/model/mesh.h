/* Face Mesh: 468 landmarks of a face. */
#pragma once

#include "model/detect.h"

enum { MESH_POINTS = 468 };

struct mesh_face {
    struct point points[MESH_POINTS]; /* frame pixels */
    float presence;                   /* 0 to 1; below 0.5: no face here */
};

struct mesh;
/* Opens the model `name` and runs it once. The caller closes it. Errors as network.h says. Used by one thread at a
 * time. */
struct mesh *mesh_open(const struct zoo *zoo, const char *name, const struct device *device,
                       struct error *err) must_check;
void mesh_close(struct mesh *mesh);
DEFINE_CLEANUP(struct mesh *, mesh_close)
#define _cleanup_mesh_ _cleanup_(mesh_close_cleanup)
/* Where to search, crop to frame: around a detected face, or around the landmarks of the frame before. */
struct affine mesh_region_of_face(const struct face *face);
struct affine mesh_region_of_landmarks(const struct mesh_face *before);
/* The landmarks of the face in that region of the frame. model.run. */
bool mesh_run(struct mesh *mesh, const struct frame *frame, const struct affine *region, struct mesh_face *out,
              struct error *err) must_check;
/* Inner lips' distance (13-14) over the face's height (10-152): how open the mouth is. */
double mesh_mouth_opening(const struct mesh_face *face);
