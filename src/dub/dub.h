/* dub: the kinds of job that make a dub. plan reads the master once and cuts it into segments; track finds the face in
 * each frame of a segment; dub gives a segment the lips of one language; join puts a language's segments together.
 *
 * It promises what work/work.h asks of a kind. Timestamps, colours and rotation are the master's own from end to end; a
 * frame without a face passes through. */
#pragma once

#include "dub/models.h"
#include "media/media.h"
#include "work/work.h"

/* The runners of the four kinds, see work/work.h. A job that does not fit its plan, or a track that does not fit its
 * segment, is `internal`. */
job_runner plan_job_run, track_job_run, dub_job_run, join_job_run;

/* Opens the campaign's master, timed as fetch and decode; *entry holds its bytes while it is read. The caller closes
 * the reader, and then releases the entry, which may be set after a failure too. */
struct video_reader *master_open(const struct job_context *context, struct step_times *times,
                                 struct cache_entry **entry, struct error *err) must_check;
