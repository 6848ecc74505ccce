/* The networks of one image model, in the layout of diffusers' ONNX exports: two text encoders, the UNet, the decoder
 * of the VAE, as diffusion/ wants them. Numbers go in and come out as float32, whatever type a network has. Private to
 * this room. One thread at a time. */
#pragma once

#include "base/json.h"
#include "diffusion/sample.h"
#include "model/session.h"

/* In the order in which they are bound: a text encoder's width is what the UNet is checked against. */
enum picture_part { PICTURE_ENCODER, PICTURE_ENCODER_2, PICTURE_UNET, PICTURE_DECODER, PICTURE_PARTS };
/* Its folder: "text_encoder", "text_encoder_2", "unet", "vae_decoder". Static. */
const char *picture_part_name(enum picture_part part);
/* Reads a configuration, FOLDER/PART/NAME, of which PART may be "". New reference; model.not_found, json.invalid, io.
 */
json_t *picture_read_config(const char *folder, const char *part, const char *name, struct error *err) must_check;

struct picture_networks;
struct picture_networks *picture_networks_new(void);
void picture_networks_free(struct picture_networks *networks);
DEFINE_CLEANUP(struct picture_networks *, picture_networks_free)
#define _cleanup_picture_networks_ _cleanup_(picture_networks_free_cleanup)
/* Binds the tensors of a part, by name, rank and type; parts in their order, and all before the first is run. The
 * session is borrowed. model.not_found; model.invalid with the part and what does not fit; io, json.invalid. */
bool picture_networks_bind(struct picture_networks *networks, const char *folder, enum picture_part part,
                           struct session *session, struct error *err) must_check;

/* The two text encoders, and UNet and decoder. Borrowed. What they fail with is model.run, model.memory. */
const struct text_encoder *picture_networks_text(const struct picture_networks *networks);
const struct sample_networks *picture_networks_sampling(const struct picture_networks *networks);
