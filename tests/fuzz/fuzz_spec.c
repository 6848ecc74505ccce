/* A campaign's spec: what is accepted is written, read again, and is the same. */
#include "farm/campaign.h"
#include "fuzz.h"

static void check(const struct campaign *campaign) {
    ensure(campaign->dub_count >= 1 && campaign->dub_count <= CAMPAIGN_DUBS_MAX);
    for (size_t i = 0; i < campaign->dub_count; i++)
        ensure(campaign->dubs[i].audio && language_is_valid(campaign->dubs[i].language));
    const struct campaign_options *options = &campaign->options;
    ensure(campaign->video && campaign->name && fuzz_is_printable(campaign->name));
    ensure(options->segment_seconds >= 1 && options->segment_seconds <= 60);
    ensure(options->quality >= 0 && options->quality <= 51 && campaign->budget_usd >= 0);
    _cleanup_free_ char *id = campaign_make_id(campaign->name, campaign->video);
    ensure(campaign_id_is_valid(id));
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
