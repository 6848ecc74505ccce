/* The networks of one image model, in the layout of diffusers' ONNX exports: two text encoders, the UNet, the decoder
 * of the VAE, as diffusion/ wants them. Numbers go in and come out as float32, whatever type a network has. Private to
 * this room. One thread at a time. */
#pragma once

#include "diffusion/sample.h"
#include "model/device.h"

struct picture_networks;

/* Loads and binds them, by name, rank and type. model.not_found; model.invalid with the part and what does not fit;
 * model.device, model.run, io, json.invalid. */
struct picture_networks *picture_networks_open(const char *folder, const struct device *device,
                                               const char *cache_directory, struct error *err) must_check;
void picture_networks_close(struct picture_networks *networks);
DEFINE_CLEANUP(struct picture_networks *, picture_networks_close)
#define _cleanup_picture_networks_ _cleanup_(picture_networks_close_cleanup)

/* The two text encoders, and UNet and decoder. Borrowed. What they fail with is model.run. */
const struct text_encoder *picture_networks_text(const struct picture_networks *networks);
const struct sample_networks *picture_networks_sampling(const struct picture_networks *networks);
/* Whether a negative prompt that was not given is zeros; else it is the empty text. */
bool picture_networks_zero_negative(const struct picture_networks *networks);
