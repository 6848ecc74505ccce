#include "farm/layout.h"

#include <string.h>

#include "base/memory.h"

char *layout_spec(const char *campaign) { return xasprintf("campaigns/%s/spec.json", campaign); }

char *layout_cancelled(const char *campaign) { return xasprintf("campaigns/%s/cancelled.json", campaign); }

char *layout_idempotency(const char *sha256) { return xasprintf("campaigns/.keys/%s", sha256); }

char *layout_plan(const char *campaign) { return xasprintf("campaigns/%s/plan.json", campaign); }

char *layout_speech(const char *campaign, const char *language) {
    return xasprintf("campaigns/%s/%s/speech.pcm", campaign, language);
}

char *layout_artifact(const struct job_id *job, const char *stamp) {
    switch (job->kind) {
    case KIND_TRACK:
        return xasprintf("campaigns/%s/track/%04d.%s.trk", job->campaign, job->index, stamp);
    case KIND_DUB:
        return xasprintf("campaigns/%s/%s/%04d.%s.mp4", job->campaign, job->language, job->index, stamp);
    case KIND_JOIN:
        return xasprintf("campaigns/%s/%s/final.%s.mp4", job->campaign, job->language, stamp);
    case KIND_IMAGE:
        return xasprintf("campaigns/%s/image/%04d.%s.json", job->campaign, job->index, stamp);
    case KIND_SHEET:
        return xasprintf("campaigns/%s/sheet.%s.json", job->campaign, stamp);
    case KIND_PLAN:
    case KIND_COUNT: /* no kind: named so that the compiler asks for a new one */
        break;
    }
    return layout_plan(job->campaign);
}

char *layout_beside(const char *artifact, const char *extension) {
    const char *dot = strrchr(artifact, '.');
    return xasprintf("%.*s.%s", (int)(dot ? dot - artifact : (ptrdiff_t)strlen(artifact)), artifact, extension);
}

char *layout_receipt(const struct job_id *job) {
    char id[JOB_ID_MAX + 1];
    job_id_format(job, id);
    _cleanup_free_ char *prefix = layout_receipts_prefix(job->campaign);
    return xasprintf("%s%s.json", prefix, id + strlen(job->campaign) + 1);
}

char *layout_receipts_prefix(const char *campaign) { return xasprintf("campaigns/%s/receipts/", campaign); }

char *layout_file(const char *sha256) { return xasprintf("files/%s", sha256); }

char *layout_model(const char *name, const char *sha256, const char *file) {
    return xasprintf("models/%s/%s/%s", name, sha256, file);
}
