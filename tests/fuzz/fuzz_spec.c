/* A campaign's spec: what is accepted is written, read again, and is the same. */
#include <math.h>

#include "farm/farm.h"
#include "farm/limits.h"
#include "fuzz.h"

static void check_dubs(const struct campaign *campaign) {
    ensure(campaign->dub_count >= 1 && campaign->dub_count <= CAMPAIGN_DUBS_MAX);
    for (size_t i = 0; i < campaign->dub_count; i++)
        ensure(campaign->dubs[i].audio && language_is_valid(campaign->dubs[i].language));
    const struct campaign_options *options = &campaign->options;
    ensure(campaign->video && options->segment_seconds >= 1 && options->segment_seconds <= 60);
    ensure(options->quality >= 0 && options->quality <= 51);
}

static void check_prompt(const struct image_prompt *prompt) {
    ensure(prompt->text && fuzz_is_printable(prompt->text) && prompt->count >= 1);
    ensure(!prompt->negative || fuzz_is_printable(prompt->negative));
    ensure(!prompt->width == !prompt->height && prompt->width % 8 == 0 && prompt->height % 8 == 0);
    ensure((double)prompt->width * prompt->height <= (double)limit_most(LIMIT_PICTURE_PIXELS));
    ensure(prompt->steps >= 1 && isfinite(prompt->guidance) && prompt->rescale >= 0 && prompt->rescale <= 1);
    ensure(prompt->lora_count <= IMAGE_LORAS_MAX);
    for (size_t i = 0; i < prompt->lora_count; i++)
        ensure(prompt->loras[i].name && isfinite(prompt->loras[i].weight));
}

/* The jobs make each picture once. */
static void check_images(const struct campaign *campaign) {
    const struct images *images = &campaign->images;
    struct image_part part = {0};
    int64_t pictures = 0;
    size_t jobs = 0;
    ensure(images->model && images->prompt_count >= 1);
    for (size_t i = 0; i < images->prompt_count; i++)
        check_prompt(&images->prompts[i]);
    for (; images_next_part(images, &part); jobs++) {
        ensure(part.count >= 1 && part.count <= IMAGE_HANDFUL && part.first_picture == pictures);
        pictures += part.count;
    }
    ensure(pictures == images_picture_count(images) && pictures <= limit_most(LIMIT_PICTURES));
    ensure(jobs == images_job_count(images));
    _cleanup_free_ struct job_spec *first = NULL;
    ensure(graph_first(campaign, &first) == jobs + images->sheet);
    json_decref(campaign_warnings(campaign));
}

static void check(const struct campaign *campaign) {
    ensure(campaign->name && fuzz_is_printable(campaign->name) && campaign->budget_usd >= 0);
    _cleanup_free_ char *id = campaign_make_id(campaign->name, "a");
    ensure(campaign_id_is_valid(id));
    if (campaign->workload == WORKLOAD_DUBS)
        check_dubs(campaign);
    else
        check_images(campaign);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    _cleanup_json_ json_t *json = fuzz_json(bytes, length), *problems = json_array();
    if (!json)
        return 0;
    _cleanup_campaign_ struct campaign *campaign = campaign_parse(json, "a-0123456789", problems);
    ensure((campaign == NULL) == (json_array_size(problems) > 0));
    if (!campaign)
        return 0;
    check(campaign);
    _cleanup_json_ json_t *written = campaign_to_json(campaign);
    _cleanup_campaign_ struct campaign *again = campaign_parse(written, "a-0123456789", problems);
    ensure(again);
    _cleanup_json_ json_t *twice = campaign_to_json(again);
    ensure(json_equal(written, twice));
    return 0;
}
