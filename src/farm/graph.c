#include "farm/graph.h"

#include <string.h>

#include "base/digest.h"
#include "base/memory.h"

bool graph_needs_plan(enum job_kind kind) { return job_kind_workload(kind) == WORKLOAD_DUBS && kind != KIND_PLAN; }

static struct job_spec first_job(const struct campaign *campaign, enum job_kind kind, size_t index) {
    struct job_id id = {.kind = kind, .index = (int)index};
    struct job_spec job = {0};
    snprintf(id.campaign, sizeof id.campaign, "%s", campaign->id);
    job_id_format(&id, job.id);
    return job;
}

/* The sheet comes last. */
static size_t first_of_images(const struct campaign *campaign, struct job_spec **jobs) {
    const struct images *images = &campaign->images;
    size_t count = images_job_count(images), at = 0;
    struct job_spec sheet = first_job(campaign, KIND_SHEET, 0);
    struct image_part part = {0};
    sheet.waits_for = (int)count;
    *jobs = xnew_array(struct job_spec, count + 1);
    for (; images_next_part(images, &part); at++) {
        (*jobs)[at] = first_job(campaign, KIND_IMAGE, at);
        images_affinity(images, part.prompt, (*jobs)[at].affinity);
        if (images->sheet)
            snprintf((*jobs)[at].next, sizeof(*jobs)[at].next, "%s", sheet.id);
    }
    if (images->sheet)
        (*jobs)[at++] = sheet;
    return at;
}

size_t graph_first(const struct campaign *campaign, struct job_spec **jobs) {
    if (campaign->workload == WORKLOAD_IMAGES)
        return first_of_images(campaign, jobs);
    *jobs = xnew_array(struct job_spec, 1);
    **jobs = first_job(campaign, KIND_PLAN, 0);
    return 1;
}

void graph_lips_affinity(const char *lips, char out[AFFINITY_MAX + 1]) {
    unsigned char hash[SHA256_BYTES];
    sha256_of(lips, strlen(lips), hash);
    hex_encode(hash, AFFINITY_MAX / 2, out);
    if (strcmp(lips, CAMPAIGN_LIPS) == 0)
        out[0] = '\0';
}

size_t graph_children(const struct campaign *campaign, const struct plan *plan, const struct job_id *done,
                      struct job_spec **jobs) {
    char affinity[AFFINITY_MAX + 1];
    *jobs = NULL;
    if (campaign->workload != WORKLOAD_DUBS)
        return 0;
    size_t count = plan_children(plan, done, jobs);
    graph_lips_affinity(campaign->options.lips, affinity);
    for (size_t i = 0; done->kind == KIND_TRACK && i < count; i++)
        memcpy((*jobs)[i].affinity, affinity, sizeof affinity);
    return count;
}
