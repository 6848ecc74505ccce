/* The lip generator: Wav2Lip's contract, whatever network is behind it. */
#pragma once

#include "media/image.h"
#include "media/mel.h"
#include "model/device.h"
#include "model/zoo.h"

struct lips;
/* Opens the model `name` and runs it once. Its inputs are bound by rank and shape: mel [B,1,80,16], faces [B,6,S,S] ->
 * [B,3,S,S]. `batch`: frames of a run, where the file leaves B free. The caller closes it. Errors as network.h says.
 * Used by one thread at a time, but for lips_size, lips_batch and lips_crop, which only read what lips_open set. */
struct lips *lips_open(const struct zoo *zoo, const char *name, const struct device *device, int batch,
                       struct error *err) must_check;
void lips_close(struct lips *lips);
DEFINE_CLEANUP(struct lips *, lips_close)
#define _cleanup_lips_ _cleanup_(lips_close_cleanup)
/* S, and the `batch` that lips_open was given. */
int lips_size(const struct lips *lips);
int lips_batch(const struct lips *lips);
/* The crop this network wants, from a face's landmarks in frame pixels (5 points: eyes' centres, nose tip,
 * mouth corners, right eye first): crop to frame for a crop of lips_size. It is the least-squares similarity
 * to the points of the manifest's contract.crop (or of Wav2Lip's usual crop), stretched sideways by its
 * aspect. */
struct affine lips_crop(const struct lips *lips, const struct point landmarks[5]);
/* Generates `n` faces, in runs of one size, the last one padded. `mels` [n][80][16]; `crops` [n][3][S][S] RGB in 0 to
 * 1; `out` likewise. model.run. */
bool lips_run(struct lips *lips, int n, const float *mels, const float *crops, float *out,
              struct error *err) must_check;
