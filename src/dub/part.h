/* What one dub job is about, as its plan says; and what the runners of this room call the files that they are given and
 * those that they leave. Private to this room. */
#pragma once

#include "farm/plan.h"

#define SOURCE_VIDEO "video"
#define SOURCE_TRACK "track"
#define SOURCE_SPEECH "speech" /* a dub's: the part that it shows, decoded; a join's: as it was submitted */

#define TARGET_PLAN "plan.json"
#define TARGET_TRACK "track.trk"
#define TARGET_DUB "segment.mp4"
#define TARGET_JOIN "final.mp4"

/* A language's speech as it was submitted ("speech-hi") and decoded ("speech-hi.pcm"), and a dub that a join puts into
 * place ("part-0007"). The caller frees. */
char *source_speech_name(const char *language);
char *target_speech_name(const char *language);
char *source_part_name(size_t index);
/* The index of a source that source_part_name named; false for other names. */
bool source_part_parse(const char *name, size_t *index);

/* All is borrowed of the plan. */
struct dub_part {
    const struct plan_language *language;
    const struct plan_output *output;
    const struct plan_segment *segment;
    /* The part of the speech that is shown, with a margin at both ends that the spectrogram's windows reach into. It
     * starts at a whole column, so that every column is the same as one of the whole speech. */
    int64_t mel_start;                  /* that column, counted from the speech's start */
    int64_t first_sample, sample_count; /* sample_count 0: the speech has ended by then */
};

/* internal when the plan has no such dub. */
bool dub_part_find(const struct plan *plan, const struct job_id *job, struct dub_part *out,
                   struct error *err) must_check;
/* When the output's time `pts` is in the dubbed video, in seconds. */
double output_seconds(const struct plan *plan, const struct plan_output *output, int64_t pts);
