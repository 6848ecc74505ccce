/* A plan: what the plan job learnt about the master and the speech, and the graph of jobs that follows from
 * it. */
#pragma once

#include "farm/job.h"

/* A run of consecutive frames of the master. Times are in ticks of the video's time base. */
struct plan_segment {
    int64_t first_frame, frames; /* the first one's number, and how many */
    int64_t start_pts, end_pts;  /* end: start of the next segment, or the end of the video */
};

/* One segment of a dubbed video: which segment of the master it shows, how much of it, and in which
 * direction. */
struct plan_output {
    int segment;
    int64_t frames;    /* 1 .. the segment's frames, counted from its start, or from its end when reversed */
    bool reversed;     /* bounce: shown backwards */
    int64_t start_pts; /* where it stands on the dubbed video's timeline, in ticks */
};

struct plan_language {
    char *language;
    double speech_seconds; /* the speech file's own length */
    int64_t end_pts;       /* length of the dubbed video, in ticks */
    struct plan_output *outputs;
    size_t output_count;
};

/* Owns all that it points to. */
struct plan {
    int width, height; /* upright, in pixels */
    int time_base_num, time_base_den;
    int rate_num, rate_den;       /* average frame rate */
    int64_t frame_count, end_pts; /* end_pts: end of the last frame, first frame at 0 */
    struct plan_segment *segments;
    size_t segment_count;
    int64_t *shots; /* first frame of every shot, ascending, shots[0] == 0 */
    size_t shot_count;
    struct plan_language *languages; /* in the campaign's order */
    size_t language_count;
    json_t *media; /* what media says of the master (video_info_to_json); opaque here */
};

/* What plan_make needs; all borrowed. `pts`: the frames' times, ascending, first 0, in ticks of the time base. */
struct plan_input {
    int width, height, time_base_num, time_base_den, rate_num, rate_den;
    const int64_t *pts;
    int64_t frame_count, end_pts;
    const int64_t *shots;
    size_t shot_count;
    const double *speech_seconds; /* one for each dub of the campaign */
    json_t *media;                /* may be NULL; the plan keeps a reference */
};

/* Cuts the master into segments of options.segment_seconds (a rest shorter than a fifth of that becomes part of the
 * last one) and lays out every language by the sync mode. cut_off: as long as the shorter of speech and video; silence:
 * as long as the video; loop and bounce: as long as the speech, the video repeated, or repeated forwards and backwards.
 * A dubbed video has at least one frame. NULL with campaign.limit when that would be too many outputs or jobs. The
 * caller frees the plan. */
struct plan *plan_make(const struct campaign *campaign, const struct plan_input *input, struct error *err) must_check;
/* As plan.json has it. New reference. */
json_t *plan_to_json(const struct plan *plan);
/* NULL with internal when the text is not a plan that this version wrote. What is returned may be indexed by: segments
 * cover every frame once, shots ascend, every output shows 1 to all frames of a segment that is there. */
struct plan *plan_from_json(const json_t *json, struct error *err) must_check;
void plan_free(struct plan *plan);
DEFINE_CLEANUP(struct plan *, plan_free)
#define _cleanup_plan_ _cleanup_(plan_free_cleanup)

/* The jobs that a finished job brings into being. plan: a track job for every segment that is shown, and
 * every join; track: the dubs of every language that show its segment; others: none. New array in *jobs,
 * freed by the caller with free(). */
size_t plan_children(const struct plan *plan, const struct job_id *done, struct job_spec **jobs);
/* The jobs whose artifacts this one works on: a dub's is its segment's track, a join's are its language's dubs in
 * order, others have none. New array of job ids in *ids, freed by the caller with free(). */
size_t plan_inputs(const struct plan *plan, const struct job_id *job, char (**ids)[JOB_ID_MAX + 1]);
/* NULL when the language is not in the plan. */
const struct plan_language *plan_language_find(const struct plan *plan, const char *language);
