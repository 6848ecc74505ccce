/* What the two kinds read and write. */
#include "base/memory.h"
#include "farm/layout.h"
#include "picture/job_names.h"
#include "picture/picture_jobs.h"

char *picture_target_name(int picture) { return xasprintf("picture-%d.png", picture); }
char *lora_source_name(size_t lora) { return xasprintf("lora-%zu", lora); }

/* A target that lies beside the artifact. */
static void add_beside(struct job_files *out, char *name, const char *artifact, char *extension) {
    job_files_add_target(out, name)->key = layout_beside(artifact, extension);
    free(extension);
}

bool image_job_files(const struct campaign *campaign, const struct plan *plan, const struct job_id *job,
                     const char *stamp, struct job_files *out, struct error *err) {
    struct image_part part;
    if (!images_part(&campaign->images, (size_t)job->index, &part))
        return error_set(err, ERR_INTERNAL, "the campaign has no job image/%04d", job->index);
    const struct image_prompt *prompt = &campaign->images.prompts[part.prompt];
    _cleanup_free_ char *artifact = layout_artifact(job, stamp);
    for (size_t i = 0; i < prompt->lora_count; i++)
        if (prompt->loras[i].file) {
            struct job_source *source = job_files_add_source(out, lora_source_name(i));
            source->uri = xstrdup(prompt->loras[i].file);
            source->label = xasprintf("LoRA %s", prompt->loras[i].name);
        }
    for (int k = 0; k < part.count; k++)
        add_beside(out, picture_target_name(k), artifact, xasprintf("%d.png", k));
    add_beside(out, xstrdup(TARGET_THUMBS), artifact, xstrdup("thumbs.png"));
    job_files_add_artifact(out, TARGET_RECORD, job, stamp);
    return true;
}

/* A file of each image job; one that died has none. */
static void add_source_of_image(struct job_files *out, const char *prefix, const struct job_id *image,
                                const char *beside) {
    char id[JOB_ID_MAX + 1];
    job_id_format(image, id);
    struct job_source *source = job_files_add_source(out, xasprintf("%s%04d", prefix, image->index));
    source->job = xstrdup(id);
    source->beside = xstrdup(beside);
    source->may_be_missing = true;
    source->is_counted = beside != NULL;
}

bool sheet_job_files(const struct campaign *campaign, const struct plan *plan, const struct job_id *job,
                     const char *stamp, struct job_files *out, struct error *err) {
    struct job_id image = {.kind = KIND_IMAGE};
    snprintf(image.campaign, sizeof image.campaign, "%s", campaign->id);
    int count = (int)images_job_count(&campaign->images);
    for (image.index = 0; image.index < count; image.index++) {
        add_source_of_image(out, SOURCE_RECORD, &image, NULL);
        add_source_of_image(out, SOURCE_THUMBS, &image, "thumbs.png");
    }
    _cleanup_free_ char *artifact = layout_artifact(job, stamp);
    add_beside(out, xstrdup(TARGET_SHEET), artifact, xstrdup("png"));
    job_files_add_artifact(out, TARGET_INDEX, job, stamp);
    return true;
}
