/* Job ids and campaign ids: what is accepted is written back letter for letter, but for zeros of a number. */
#include "farm/job.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    _cleanup_free_ char *text = fuzz_text(bytes, length);
    struct job_id id, again;
    char written[JOB_ID_MAX + 1];
    _cleanup_free_ char *made = campaign_make_id(text, "seed");
    ensure(campaign_id_is_valid(made));
    if (!job_id_parse(text, &id))
        return 0;
    ensure(campaign_id_is_valid(id.campaign) && id.kind >= 0 && id.kind < KIND_COUNT && id.index >= 0);
    ensure(!id.language[0] || language_is_valid(id.language));
    job_id_format(&id, written);
    ensure(job_id_parse(written, &again));
    ensure(again.kind == id.kind && again.index == id.index && strcmp(again.language, id.language) == 0 &&
           strcmp(again.campaign, id.campaign) == 0);
    ensure(job_id_suffix(written) == written + strlen(id.campaign) + 1);
    return 0;
}
