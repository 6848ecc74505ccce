/* The lip generator: Wav2Lip's contract, whatever network is behind it. */
#pragma once

#include "media/image.h"
#include "media/mel.h"
#include "model/device.h"
#include "model/zoo.h"

struct lips;
/* Opens a generator of the zoo and runs it once, which warms it: mel [B,1,80,16], faces [B,6,S,S] -> [B,3,S,S].
 * `batch`: the most faces of one lips_run. Errors as of network_open (bind.h). The caller closes it. */
struct lips *lips_open(const struct zoo *zoo, const char *name, const struct device *device, int batch,
                       struct error *err) must_check;
void lips_close(struct lips *lips);
DEFINE_CLEANUP(struct lips *, lips_close)
#define _cleanup_lips_ _cleanup_(lips_close_cleanup)
/* S: the side of a crop, in pixels. */
int lips_size(const struct lips *lips);
/* The `batch` it was opened with. */
int lips_batch(const struct lips *lips);
/* The crop this network wants, from a face's landmarks in frame pixels (5 points: eyes' centres, nose tip,
 * mouth corners, right eye first): crop to frame for a crop of lips_size. It is the least-squares similarity
 * to the points of the manifest's contract.crop (or of Wav2Lip's usual crop), stretched sideways by its
 * aspect. */
struct affine lips_crop(const struct lips *lips, const struct point landmarks[5]);
/* n <= batch; a short batch is padded inside. `mels` [n][80][16]; `crops` [n][3][S][S] RGB, 0 to 1; `out` likewise.
 * model.run. */
bool lips_run(struct lips *lips, int n, const float *mels, const float *crops, float *out,
              struct error *err) must_check;
