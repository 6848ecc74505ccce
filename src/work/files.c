#include "work/files.h"

#include "base/memory.h"
#include "farm/layout.h"

void job_files_clear(struct job_files *files) {
    for (size_t i = 0; i < files->source_count; i++) {
        struct job_source *source = &files->sources[i];
        free(source->name);
        free(source->uri);
        free(source->key);
        free(source->job);
        free(source->beside);
        free(source->label);
    }
    for (size_t i = 0; i < files->target_count; i++) {
        free(files->targets[i].name);
        free(files->targets[i].key);
    }
    free(files->sources);
    free(files->targets);
    *files = (struct job_files){0};
}

/* Room for one more; it doubles, since a join may have thousands. */
static void *files_grow(void *list, size_t count, size_t size) {
    bool full = (count & (count - 1)) == 0; /* 0, and every power of two */
    return full ? xreallocarray(list, MAX(2 * count, 1), size) : list;
}

struct job_source *job_files_add_source(struct job_files *files, char *name) {
    files->sources = files_grow(files->sources, files->source_count, sizeof *files->sources);
    struct job_source *source = &files->sources[files->source_count++];
    *source = (struct job_source){.name = name};
    return source;
}

struct job_target *job_files_add_target(struct job_files *files, char *name) {
    files->targets = files_grow(files->targets, files->target_count, sizeof *files->targets);
    struct job_target *target = &files->targets[files->target_count++];
    *target = (struct job_target){.name = name};
    return target;
}

void job_files_add_uri(struct job_files *files, const char *name, const char *uri) {
    job_files_add_source(files, xstrdup(name))->uri = xstrdup(uri);
}

struct job_target *job_files_add_artifact(struct job_files *files, const char *name, const struct job_id *job,
                                          const char *stamp) {
    struct job_target *target = job_files_add_target(files, xstrdup(name));
    target->key = layout_artifact(job, stamp);
    target->is_artifact = true;
    return target;
}

const struct job_target *job_files_artifact(const struct job_files *files) {
    return &files->targets[files->target_count - 1];
}
