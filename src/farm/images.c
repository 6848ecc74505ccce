#include "farm/images.h"

#include <math.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/digest.h"

/* Large pictures are drawn fewer at a time: as many pixels as a handful of usual ones. */
static int handful(const struct image_prompt *prompt) {
    int64_t pixels = prompt->width && prompt->height ? (int64_t)prompt->width * prompt->height : IMAGE_USUAL_PIXELS;
    return (int)CLAMP((int64_t)IMAGE_HANDFUL * IMAGE_USUAL_PIXELS / pixels, 1, IMAGE_HANDFUL);
}

/* The sizes in which SDXL saw its training pictures, all near a million pixels (Podell et al. 2023, appendix I). */
static const struct {
    int shorter, longer;
} trained[] = {{512, 2048}, {512, 1984}, {512, 1920}, {512, 1856}, {576, 1792}, {576, 1728}, {576, 1664},
               {640, 1600}, {640, 1536}, {704, 1472}, {704, 1408}, {704, 1344}, {768, 1344}, {768, 1280},
               {832, 1216}, {832, 1152}, {896, 1152}, {896, 1088}, {960, 1088}, {960, 1024}, {1024, 1024}};

bool images_size_is_trained(int width, int height, int *nearest_width, int *nearest_height) {
    enum { TEST_SIDE = 256 };
    int shorter = MIN(width, height), longer = MAX(width, height);
    double wanted = log((double)longer / shorter), least = INFINITY;
    for (size_t i = 0; i < ARRAY_LENGTH(trained); i++) {
        double off = fabs(log((double)trained[i].longer / trained[i].shorter) - wanted);
        if (trained[i].shorter == shorter && trained[i].longer == longer)
            return true;
        if (off >= least)
            continue;
        least = off;
        *nearest_width = width < height ? trained[i].shorter : trained[i].longer;
        *nearest_height = width < height ? trained[i].longer : trained[i].shorter;
    }
    return longer <= TEST_SIDE;
}

int64_t images_picture_count(const struct images *images) {
    int64_t count = 0;
    for (size_t i = 0; i < images->prompt_count; i++)
        count += images->prompts[i].count;
    return count;
}

bool images_next_part(const struct images *images, struct image_part *part) {
    part->first += part->count;
    part->first_picture += part->count;
    if (part->prompt < images->prompt_count && part->first >= images->prompts[part->prompt].count) {
        part->prompt++;
        part->first = 0;
    }
    if (part->prompt >= images->prompt_count)
        return false;
    const struct image_prompt *prompt = &images->prompts[part->prompt];
    part->count = MIN(prompt->count - part->first, handful(prompt));
    return true;
}

size_t images_job_count(const struct images *images) {
    struct image_part part = {0};
    size_t count = 0;
    while (images_next_part(images, &part))
        count++;
    return count;
}

bool images_part(const struct images *images, size_t index, struct image_part *out) {
    *out = (struct image_part){0};
    for (size_t i = 0; images_next_part(images, out); i++)
        if (i == index)
            return true;
    return false;
}

void images_affinity(const struct images *images, size_t prompt, char out[AFFINITY_MAX + 1]) {
    const struct image_prompt *asked = &images->prompts[prompt];
    _cleanup_buffer_ struct buffer text = {0};
    buffer_appendf(&text, "image %s", images->model);
    for (size_t i = 0; i < asked->lora_count; i++)
        buffer_appendf(&text, "\n%s %.9g", asked->loras[i].file ? asked->loras[i].file : asked->loras[i].name,
                       asked->loras[i].weight);
    unsigned char hash[SHA256_BYTES];
    sha256_of(text.data, text.length, hash);
    hex_encode(hash, AFFINITY_MAX / 2, out);
}
