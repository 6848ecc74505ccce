/* Keys of the object store: this is the one place where they are formed. Each function returns a new string that the
 * caller frees. */
#pragma once

#include "farm/job.h"

/* The spec as it was submitted; never changed. */
char *layout_spec(const char *campaign);
/* Written when a campaign is cancelled, so that it stays so when Redis loses its data and `mela recover` reads the
 * store. */
char *layout_cancelled(const char *campaign);
/* campaigns/.keys/<sha256>: the id of the campaign that an Idempotency-Key stands for, by the hash of user and key; no
 * campaign's id begins with a dot. */
char *layout_idempotency(const char *sha256);
/* campaigns/<id>/plan.json */
char *layout_plan(const char *campaign);
/* A language's speech as the networks hear it: 16 kHz mono, signed 16 bit, little endian. Created once by the plan job.
 */
char *layout_speech(const char *campaign, const char *language);
/* The artifact of one attempt at a job, named by its claim's stamp, which no other claim has: .../track/0007.STAMP.trk,
 * .../hi/0007.STAMP.mp4, .../hi/final.STAMP.mp4, .../image/0007.STAMP.json, .../sheet.STAMP.json. A plan's is
 * layout_plan whatever the attempt: it is created once and never overwritten. */
char *layout_artifact(const struct job_id *job, const char *stamp);
/* What the same attempt left beside its artifact: the artifact's key with another extension, "0.png". */
char *layout_beside(const char *artifact, const char *extension);
/* campaigns/<id>/receipts/<rest of the job id>.json: written once, before Redis publishes the job
 * (recover/receipt.h). */
char *layout_receipt(const struct job_id *job);
/* What the keys of all receipts of a campaign begin with; it ends in a slash. */
char *layout_receipts_prefix(const char *campaign);
/* files/<sha256>: an uploaded file. */
char *layout_file(const char *sha256);
/* models/<name>/<sha256>/<file>: a model's weights. */
char *layout_model(const char *name, const char *sha256, const char *file);
