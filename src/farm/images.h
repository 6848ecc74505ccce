/* What a campaign of pictures asks for: prompts, each with its settings and how many pictures of it. Its jobs are
 * numbered: each makes a handful of pictures of one prompt. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

enum {
    IMAGE_HANDFUL = 4,                /* pictures of one job at most, as far as they are not large */
    IMAGE_USUAL_PIXELS = 1024 * 1024, /* what SDXL is trained for, and taken for a size that is not given */
    IMAGE_LORAS_MAX = 8,
    AFFINITY_MAX = 16, /* characters */
};

#define IMAGES_MODEL "sdxl-base" /* the model when the spec names none */

/* A LoRA and what it weighs: of the workers' zoo by its name, or a file of the user's. */
struct image_lora {
    char *name; /* of a file too: it stands in what is made */
    char *file; /* URI; NULL: the zoo's */
    double weight;
};

struct image_prompt {
    char *text, *negative; /* negative NULL: not given, which is not the empty text */
    uint32_t seed;         /* of its first picture; picture k has seed + k, modulo 2^32 */
    int count;             /* pictures */
    int width, height;     /* in pixels; 0: the model's own */
    int steps;
    double guidance, rescale;
    char *scheduler; /* "euler", ...; NULL: as the model has it, also below */
    int karras;      /* 0, 1; -1 */
    char *spacing;   /* "leading", ... */
    struct image_lora *loras;
    size_t lora_count;
    bool enhance; /* made larger by the enhancer */
};

struct images {
    char *model; /* name in the zoo */
    struct image_prompt *prompts;
    size_t prompt_count;
    bool sheet;        /* a contact sheet at the end */
    bool metadata;     /* the settings are written into each picture */
    bool weighted;     /* brackets weigh words */
    bool long_prompts; /* what is beyond 75 tokens counts too */
};

/* The pictures of one job. */
struct image_part {
    size_t prompt;
    int first, count;      /* pictures first to first + count - 1 of the prompt */
    int64_t first_picture; /* the number of its first one in the campaign */
};

/* Whether SDXL was trained with pictures of this size, or it is 256 x 256 at most, as models for tests have it; if not,
 * the size of the nearest shape that it was trained with. */
bool images_size_is_trained(int width, int height, int *nearest_width, int *nearest_height);
int64_t images_picture_count(const struct images *images);
size_t images_job_count(const struct images *images);
/* What job number `index` makes; false when there is none. */
bool images_part(const struct images *images, size_t index, struct image_part *out);
/* The prompts and parts one after the other: from {0} to the first one; false at the end. */
bool images_next_part(const struct images *images, struct image_part *part);
/* What the model and LoRAs of a prompt are together: prompts with the same text can be drawn without loading anything
 * between them. */
void images_affinity(const struct images *images, size_t prompt, char out[AFFINITY_MAX + 1]);
/* As "images" of a spec has it, with every default and seed filled in. New reference. */
json_t *images_to_json(const struct images *images);
