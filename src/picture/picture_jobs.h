/* The kinds of job that make a campaign's pictures: image draws a handful of one prompt, sheet puts small ones of all
 * of them on one contact sheet. What an image job leaves: each picture as PNG, a strip of small ones (thumbs), and its
 * artifact, a record of how each picture was made. The sheet's artifact is the index of all pictures; the sheet lies
 * beside it.
 *
 * They promise what work/work.h asks of a kind. An image job that died is missing in the sheet, and nothing else is. */
#pragma once

#include "picture/painters.h"
#include "work/work.h"

/* What jobs of the two kinds read and write, see work/files.h. */
job_files_function image_job_files, sheet_job_files;
/* The runners of the two kinds, see work/work.h. */
job_runner image_job_run, sheet_job_run;
