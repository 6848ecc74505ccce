#include "farm/images.h"

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/digest.h"

/* Large pictures are drawn fewer at a time: as many pixels as a handful of usual ones. */
static int handful(const struct image_prompt *prompt) {
    int64_t pixels = prompt->width && prompt->height ? (int64_t)prompt->width * prompt->height : IMAGE_USUAL_PIXELS;
    return (int)CLAMP((int64_t)IMAGE_HANDFUL * IMAGE_USUAL_PIXELS / pixels, 1, IMAGE_HANDFUL);
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
