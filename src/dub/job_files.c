/* What the four kinds read and write. Their runners, in the files of the kinds' names, ask for the sources by these
 * names and leave the targets under them. */
#include <string.h>

#include "base/memory.h"
#include "dub/dub.h"
#include "dub/part.h"
#include "farm/layout.h"

/* ---- plan ---- */

static void add_speech(struct job_files *out, const char *campaign, const struct dub *dub) {
    struct job_source *source = job_files_add_source(out, source_speech_name(dub->language));
    source->uri = xstrdup(dub->audio);
    source->label = xasprintf("speech of %s (%s)", dub->language, dub->audio);
    struct job_target *target = job_files_add_target(out, target_speech_name(dub->language));
    target->key = layout_speech(campaign, dub->language);
    target->once = true; /* the same file gives the same samples, and a dub may be reading them */
}

bool plan_job_files(const struct campaign *campaign, const struct plan *plan, const struct job_id *job,
                    const char *stamp, struct job_files *out, struct error *err) {
    job_files_add_uri(out, SOURCE_VIDEO, campaign->video);
    for (size_t i = 0; i < campaign->dub_count; i++)
        add_speech(out, campaign->id, &campaign->dubs[i]);
    job_files_add_artifact(out, TARGET_PLAN, job, stamp)->once =
        true; /* jobs of the one that is there may be running */
    return true;
}

/* ---- track ---- */

bool track_job_files(const struct campaign *campaign, const struct plan *plan, const struct job_id *job,
                     const char *stamp, struct job_files *out, struct error *err) {
    if ((size_t)job->index >= plan->segment_count)
        return error_set(err, ERR_INTERNAL, "the plan has no segment %d", job->index);
    job_files_add_uri(out, SOURCE_VIDEO, campaign->video);
    job_files_add_artifact(out, TARGET_TRACK, job, stamp);
    return true;
}

/* ---- dub ---- */

/* The part of the decoded speech that this dub shows. */
static void add_part_of_speech(struct job_files *out, const char *campaign, const struct dub_part *part) {
    const char *language = part->language->language;
    struct job_source *source = job_files_add_source(out, xstrdup(SOURCE_SPEECH));
    source->key = layout_speech(campaign, language);
    source->first = part->first_sample * (int64_t)sizeof(int16_t);
    source->length = part->sample_count * (int64_t)sizeof(int16_t);
    source->label = xasprintf("speech of %s", language);
}

bool dub_job_files(const struct campaign *campaign, const struct plan *plan, const struct job_id *job,
                   const char *stamp, struct job_files *out, struct error *err) {
    struct dub_part part;
    if (!dub_part_find(plan, job, &part, err))
        return false;
    _cleanup_free_ char(*tracks)[JOB_ID_MAX + 1] = NULL;
    plan_inputs(plan, job, &tracks);
    job_files_add_uri(out, SOURCE_VIDEO, campaign->video);
    job_files_add_source(out, xstrdup(SOURCE_TRACK))->job = xstrdup(tracks[0]);
    if (part.sample_count > 0)
        add_part_of_speech(out, campaign->id, &part);
    job_files_add_artifact(out, TARGET_DUB, job, stamp);
    return true;
}

/* ---- join ---- */

static const char *speech_uri(const struct campaign *campaign, const char *language) {
    for (size_t i = 0; i < campaign->dub_count; i++)
        if (strcmp(campaign->dubs[i].language, language) == 0)
            return campaign->dubs[i].audio;
    return NULL;
}

bool join_job_files(const struct campaign *campaign, const struct plan *plan, const struct job_id *job,
                    const char *stamp, struct job_files *out, struct error *err) {
    const char *uri = speech_uri(campaign, job->language);
    _cleanup_free_ char(*dubs)[JOB_ID_MAX + 1] = NULL;
    size_t count = plan_inputs(plan, job, &dubs);
    if (!uri || count == 0)
        return error_set(err, ERR_INTERNAL, "the plan does not fit the job %s/join", job->language);
    job_files_add_uri(out, SOURCE_SPEECH, uri);
    for (size_t i = 0; i < count; i++) {
        struct job_source *part = job_files_add_source(out, source_part_name(i));
        part->job = xstrdup(dubs[i]);
        part->is_counted = true;
    }
    job_files_add_artifact(out, TARGET_JOIN, job, stamp);
    return true;
}
