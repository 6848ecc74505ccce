/* An image model's folder, without its networks loaded: tokenizers, scheduler, and what a LoRA may change in it.
 * Private to this room. */
#pragma once

#include "base/digest.h"
#include "diffusion/lora.h"
#include "diffusion/scheduler.h"
#include "diffusion/tokenizer.h"
#include "model/modules.h"
#include "picture/networks.h"

/* Read, but not changed, by those who hold it. */
struct image_model {
    int references;
    char *folder;
    struct tokenizer *tokenizers[2];
    char vocabulary[SHA256_HEX + 1]; /* of the files of both tokenizers */
    struct scheduler_config scheduler;
    bool zero_negative; /* a negative prompt that was not given is zeros; else it is the empty text */
    int usual_side;     /* of a picture, in pixels, as the UNet was trained */
    int size_unit;      /* what both sides must be multiples of, in pixels */
    struct modules *parts[PICTURE_PARTS];
    struct lora_model *loras;    /* the modules of text encoders and UNet, a part after the other */
    size_t first[PICTURE_PARTS]; /* in `loras`, of a part */
};

/* Reads the folder, and says in one error all that is wrong with it. model.not_found, model.invalid,
 * scheduler.unsupported, io, json.invalid. The caller gives it back with image_model_release. */
struct image_model *image_model_open(const char *folder, struct error *err) must_check;
struct image_model *image_model_keep(struct image_model *model);
void image_model_release(struct image_model *model);
DEFINE_CLEANUP(struct image_model *, image_model_release)
#define _cleanup_image_model_ _cleanup_(image_model_release_cleanup)

/* Whether a file of the folder is there, and in the folder, behind whatever links. model.not_found, model.invalid. */
bool image_model_check_file(const char *folder, const char *file, struct error *err) must_check;
/* Reads the graph of a network, FOLDER/PART/model.onnx, and checks the files that it needs besides. model.not_found,
 * model.invalid, io. The caller closes it. */
struct modules *image_model_read_part(const char *folder, const char *part, struct error *err) must_check;
/* "tokenizer", "tokenizer_2". Static. */
const char *picture_tokenizer_name(int which);
/* Path of a part's ONNX file. Caller frees. */
char *image_model_file(const struct image_model *model, enum picture_part part);
/* MB that a part needs when it is loaded. On the CPU float16 is computed as float32, and weights are there as read and
 * as packed; on a card they are there as they are. */
int64_t image_model_memory(const struct image_model *model, enum picture_part part, const struct device *device);
/* Of several things that may be wrong: appends `one` to what is in `all`, unless *good is true, which becomes false. */
void problem_add(struct error *all, bool *good, const struct error *one);
