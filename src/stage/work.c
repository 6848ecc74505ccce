#include "stage/work.h"

#include "base/digest.h"
#include "base/memory.h"

struct cache_entry *work_fetch(const struct stage_context *context, struct step_times *times, const char *uri,
                               struct error *err) {
    int64_t started = step_start();
    struct cache_entry *entry = input_fetch(context->cache, context->store, uri, err);
    step_stop(times, STEP_FETCH, started);
    return entry;
}

bool work_upload(const struct stage_context *context, struct step_times *times, const char *path, json_t *report,
                 struct error *err) {
    int64_t started = step_start(), bytes;
    atomic_store(&context->progress->step, STEP_UPLOAD);
    char sha256[SHA256_HEX + 1];
    if (!sha256_file(path, sha256, &bytes, err) || !store_put_file(context->store, context->artifact, path, 0, err))
        return false;
    step_stop(times, STEP_UPLOAD, started);
    json_object_set_new(report, "bytes", json_integer(bytes));
    json_object_set_new(report, "sha256", json_string(sha256));
    return true;
}

char *work_path(const struct stage_context *context, const char *name) {
    return xasprintf("%s/%s", context->scratch, name);
}

struct video_reader *work_open_master(const struct stage_context *context, struct step_times *times,
                                      struct cache_entry **entry, struct error *err) {
    *entry = work_fetch(context, times, context->campaign->video, err);
    if (!*entry)
        return NULL;
    int64_t started = step_start();
    struct video_reader *reader = video_open(cache_entry_path(*entry), 0, err);
    step_stop(times, STEP_DECODE, started);
    if (!reader)
        error_wrap(err, "master %s", context->campaign->video);
    return reader;
}

bool work_enter(const struct stage_context *context, struct step_times *times, struct error *err) {
    if (context->gate && !gate_enter(context->gate, context->cancel))
        return error_set(err, ERR_CANCELLED, "the job was told to stop");
    times->entered = step_start();
    return true;
}

void work_leave(const struct stage_context *context, struct step_times *times) {
    times->behind_gate_ns += step_start() - times->entered;
    if (context->gate)
        gate_leave(context->gate);
}
