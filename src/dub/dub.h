/* dub: the kinds of job that make a dub. plan reads the master once and cuts it into segments; track finds the face in
 * each frame of a segment; dub gives a segment the lips of one language; join puts a language's segments together.
 *
 * It promises what work/work.h asks of a kind. Timestamps, colours and rotation are the master's own from end to end; a
 * frame without a face passes through. */
#pragma once

#include "dub/models.h"
#include "media/media.h"
#include "work/work.h"

/* What jobs of the four kinds read and write, see work/files.h. */
job_files_function plan_job_files, track_job_files, dub_job_files, join_job_files;

/* The runners of the four kinds, see work/work.h. A job that does not fit its plan, or a track that does not fit its
 * segment, is `internal`. */
job_runner plan_job_run, track_job_run, dub_job_run, join_job_run;

/* Opens the campaign's master, timed as decode. The caller closes the reader. */
struct video_reader *master_open(const struct job_context *context, struct step_times *times,
                                 struct error *err) must_check;
