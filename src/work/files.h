/* What a job reads and writes, by name. A kind's files function says it all before the job begins, from the campaign
 * and the plan alone; its runner sees local files only. So no key is ever chosen by who computes. */
#pragma once

#include "base/error.h"
#include "farm/plan.h"

/* One of `uri`, `key` and `job` is set. Strings are owned. */
struct job_source {
    char *name;            /* what the runner asks for (work_input), and a file's name: "video", "part-0007" */
    char *uri;             /* as a spec has it */
    char *key;             /* in the farm's store */
    int64_t first, length; /* with `key`: bytes [first, first + length) of it; length 0: all of it */
    char *job;             /* id of the job whose published artifact it is */
    char *beside; /* with `job`: not the artifact, but what lies beside it under this extension (layout_beside) */
    bool may_be_missing; /* with `job`: that job may have died; there is no such file then */
    char *label;         /* put before the error when it cannot be fetched: "speech of hi"; NULL: nothing */
    bool is_counted;     /* the job's progress counts it once it is there, as a join counts its parts */
};

/* Strings are owned. */
struct job_target {
    char *name;       /* of the file that the runner leaves in its scratch folder: "segment.mp4" */
    char *key;        /* where it goes in the farm's store */
    bool once;        /* what is there already is as good, and is kept */
    bool is_artifact; /* of the job; exactly one target is, the last one: it says that the others are there */
};

/* {0} is an empty list. */
struct job_files {
    struct job_source *sources;
    size_t source_count;
    struct job_target *targets;
    size_t target_count;
};
/* Frees the members; safe on zeros. */
void job_files_clear(struct job_files *files);
#define _cleanup_job_files_ _cleanup_(job_files_clear)

/* Says what the job under the claim with this stamp will read and write; pure. `plan` is NULL for a plan job. *out
 * comes empty, and is the caller's to clear whatever happens. internal when the job does not fit its plan. */
typedef bool job_files_function(const struct campaign *campaign, const struct plan *plan, const struct job_id *job,
                                const char *stamp, struct job_files *out, struct error *err);

/* Adds a source or a target of this name, which becomes the list's; the caller sets the rest. Valid until the next one
 * is added. */
struct job_source *job_files_add_source(struct job_files *files, char *name);
struct job_target *job_files_add_target(struct job_files *files, char *name);
/* Adds what most jobs read and write: the file that a URI of the spec names, and the artifact of this claim, which
 * comes last. The strings are copied. */
void job_files_add_uri(struct job_files *files, const char *name, const char *uri);
struct job_target *job_files_add_artifact(struct job_files *files, const char *name, const struct job_id *job,
                                          const char *stamp);
/* The target that is the job's artifact. */
const struct job_target *job_files_artifact(const struct job_files *files);
