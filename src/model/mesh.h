/* Face Mesh: 468 landmarks of a face. */
#pragma once

#include "model/detect.h"

enum { MESH_POINTS = 468 };

struct mesh_face {
    struct point points[MESH_POINTS]; /* frame pixels */
    float presence;                   /* 0 to 1; below 0.5: no face here */
};

struct mesh;
/* Opens a face mesh of the zoo and runs it once, which warms it. Errors as of network_open (bind.h). The caller closes
 * it. */
struct mesh *mesh_open(const struct zoo *zoo, const char *name, const struct device *device,
                       struct error *err) must_check;
void mesh_close(struct mesh *mesh);
DEFINE_CLEANUP(struct mesh *, mesh_close)
#define _cleanup_mesh_ _cleanup_(mesh_close_cleanup)
/* The square of a frame that mesh_run examines, as a map from its crop to the frame: from a detection, or from the
 * landmarks of the frame before (tracking). */
struct affine mesh_region_of_face(const struct face *face);
struct affine mesh_region_of_landmarks(const struct mesh_face *before);
/* Finds the landmarks of the face in `region`. An absent face is no error: presence says so. model.run. */
bool mesh_run(struct mesh *mesh, const struct frame *frame, const struct affine *region, struct mesh_face *out,
              struct error *err) must_check;
/* Inner lips' distance (13-14) over the face's height (10-152): how open the mouth is. */
double mesh_mouth_opening(const struct mesh_face *face);
