#include "farm/plan.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "farm/limits.h"

/* First index in [from, count) whose pts is not before `time`. */
static int64_t first_at_or_after(const struct plan_input *in, int64_t from, int64_t time) {
    int64_t low = from, high = in->frame_count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (in->pts[middle] < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add_segment(struct plan *plan, const struct plan_input *in, int64_t first, int64_t end) {
    plan->segments = xgrown(plan->segments, plan->segment_count, sizeof *plan->segments);
    plan->segments[plan->segment_count++] =
        (struct plan_segment){.first_frame = first,
                              .frames = end - first,
                              .start_pts = in->pts[first],
                              .end_pts = end < in->frame_count ? in->pts[end] : in->end_pts};
}

/* Boundaries lie at whole multiples of `seconds`, rounded to ticks. Each round looks for the first one behind the next
 * frame, so the work follows the frames and not the time: a gap in the timestamps costs nothing. */
static void cut_segments(struct plan *plan, const struct plan_input *in, double seconds) {
    double ticks = seconds * in->time_base_den / in->time_base_num;
    for (int64_t first = 0, end; first < in->frame_count; first = end) {
        double boundary = round(ceil(((double)in->pts[first] + 0.5) / ticks) * ticks);
        bool last = (double)in->end_pts - boundary < round(ticks / 5);
        end = last ? in->frame_count : first_at_or_after(in, first, (int64_t)boundary);
        end = MAX(end, first + 1); /* a boundary beyond 2^53 may be rounded back to the frame itself */
        add_segment(plan, in, first, end);
    }
}

/* When frame `i` ends. */
static int64_t frame_end(const struct plan_input *in, int64_t i) {
    return i + 1 < in->frame_count ? in->pts[i + 1] : in->end_pts;
}

/* When the n-th frame that an output shows begins, in ticks from the output's start. */
static int64_t shown_at(const struct plan_input *in, const struct plan_segment *segment, bool reversed, int64_t n) {
    if (!reversed)
        return in->pts[segment->first_frame + n] - segment->start_pts;
    return segment->end_pts - frame_end(in, segment->first_frame + segment->frames - 1 - n);
}

/* Adds an output of as many frames as begin before `end`, at least one; returns when it ends. */
static int64_t add_output(struct plan_language *language, const struct plan *plan, const struct plan_input *in,
                          struct plan_output output, int64_t end) {
    const struct plan_segment *segment = &plan->segments[output.segment];
    int64_t low = 1, high = segment->frames; /* bisects the number of frames */
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2;
        if (output.start_pts + shown_at(in, segment, output.reversed, middle - 1) < end)
            low = middle;
        else
            high = middle - 1;
    }
    output.frames = low;
    language->outputs = xgrown(language->outputs, language->output_count, sizeof output);
    language->outputs[language->output_count++] = output;
    return output.start_pts + (low < segment->frames ? shown_at(in, segment, output.reversed, low)
                                                     : segment->end_pts - segment->start_pts);
}

/* Until when the video is dubbed, in ticks; the last frame that begins before is shown whole. */
static int64_t wanted_end(const struct plan_input *in, double speech_seconds, enum sync_mode sync) {
    int64_t speech = llround(speech_seconds * in->time_base_den / in->time_base_num);
    if (sync == SYNC_SILENCE)
        return in->end_pts;
    return sync == SYNC_CUT_OFF ? MIN(speech, in->end_pts) : speech;
}

/* How many outputs last until `end`: whole rounds over the film, and the segments that begin before the rest's end. */
static int64_t count_outputs(const struct plan *plan, int64_t end, enum sync_mode sync) {
    int64_t rounds = end / plan->end_pts, rest = end % plan->end_pts, count = (int64_t)plan->segment_count;
    bool reversed = sync == SYNC_BOUNCE && rounds % 2 == 1;
    int64_t low = 0, high = count; /* bisects the segments of the last round */
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int64_t begins =
            reversed ? plan->end_pts - plan->segments[count - 1 - middle].end_pts : plan->segments[middle].start_pts;
        if (begins < rest)
            low = middle + 1;
        else
            high = middle;
    }
    return MAX(rounds * count + low, 1);
}

/* Before anything is laid out: a film of one frame under hours of speech would fill the memory. A round over the film
 * shows each segment once. */
static bool check_outputs(const struct campaign *campaign, const struct plan *plan, const struct plan_input *in,
                          struct error *err) {
    enum sync_mode sync = campaign->options.sync;
    int64_t outputs = 0, of_a_segment = 0, segments = (int64_t)plan->segment_count;
    for (size_t i = 0; i < campaign->dub_count; i++) {
        int64_t count = count_outputs(plan, wanted_end(in, in->speech_seconds[i], sync), sync);
        outputs += count;
        of_a_segment += (count + segments - 1) / segments;
    }
    double children = (double)MAX(of_a_segment, segments + (int64_t)campaign->dub_count);
    return limit_check(LIMIT_OUTPUTS, (double)outputs, "the campaign", err) &&
           limit_check(LIMIT_CHILDREN, children, "the campaign", err);
}

/* One output after the other until the speech's or the video's end: segment 0, 1, ... and again from 0, or with bounce
 * back from the last one to 0, reversed. */
static void lay_out_language(struct plan_language *language, const struct plan *plan, const struct plan_input *in,
                             enum sync_mode sync) {
    int64_t end = wanted_end(in, language->speech_seconds, sync);
    int count = (int)plan->segment_count;
    for (int k = 0; k == 0 || language->end_pts < end; k++) {
        bool reversed = sync == SYNC_BOUNCE && k / count % 2 == 1;
        struct plan_output output = {.segment = reversed ? count - 1 - k % count : k % count,
                                     .reversed = reversed,
                                     .start_pts = language->end_pts};
        language->end_pts = add_output(language, plan, in, output, end);
    }
}

struct plan *plan_make(const struct campaign *campaign, const struct plan_input *in, struct error *err) {
    _cleanup_plan_ struct plan *plan = xnew(struct plan);
    *plan = (struct plan){.width = in->width,
                          .height = in->height,
                          .time_base_num = in->time_base_num,
                          .time_base_den = in->time_base_den,
                          .rate_num = in->rate_num,
                          .rate_den = in->rate_den,
                          .frame_count = in->frame_count,
                          .end_pts = in->end_pts,
                          .shot_count = in->shot_count,
                          .media = json_incref(in->media)};
    plan->shots = xnew_array(int64_t, in->shot_count);
    memcpy(plan->shots, in->shots, in->shot_count * sizeof *in->shots);
    cut_segments(plan, in, campaign->options.segment_seconds);
    if (!check_outputs(campaign, plan, in, err))
        return NULL;
    plan->language_count = campaign->dub_count;
    plan->languages = xnew_array(struct plan_language, campaign->dub_count);
    for (size_t i = 0; i < campaign->dub_count; i++) {
        plan->languages[i].language = xstrdup(campaign->dubs[i].language);
        plan->languages[i].speech_seconds = in->speech_seconds[i];
        lay_out_language(&plan->languages[i], plan, in, campaign->options.sync);
    }
    return steal(plan);
}

void plan_free(struct plan *plan) {
    for (size_t i = 0; i < plan->language_count; i++) {
        free(plan->languages[i].language);
        free(plan->languages[i].outputs);
    }
    free(plan->languages);
    free(plan->segments);
    free(plan->shots);
    json_decref(plan->media);
    free(plan);
}

/* ---- JSON ---- */

static json_t *language_to_json(const struct plan_language *language) {
    json_t *outputs = json_array();
    for (size_t i = 0; i < language->output_count; i++) {
        const struct plan_output *o = &language->outputs[i];
        json_array_append_new(
            outputs, json_pack("[i,I,b,I]", o->segment, (json_int_t)o->frames, o->reversed, (json_int_t)o->start_pts));
    }
    return json_pack("{s:s,s:f,s:I,s:o}", "language", language->language, "speech_seconds", language->speech_seconds,
                     "end_pts", (json_int_t)language->end_pts, "outputs", outputs);
}

json_t *plan_to_json(const struct plan *plan) {
    json_t *segments = json_array(), *shots = json_array(), *languages = json_array();
    for (size_t i = 0; i < plan->segment_count; i++) {
        const struct plan_segment *s = &plan->segments[i];
        json_array_append_new(segments, json_pack("[I,I,I,I]", (json_int_t)s->first_frame, (json_int_t)s->frames,
                                                  (json_int_t)s->start_pts, (json_int_t)s->end_pts));
    }
    for (size_t i = 0; i < plan->shot_count; i++)
        json_array_append_new(shots, json_integer(plan->shots[i]));
    for (size_t i = 0; i < plan->language_count; i++)
        json_array_append_new(languages, language_to_json(&plan->languages[i]));
    return json_pack("{s:i,s:[i,i],s:[i,i],s:[i,i],s:I,s:I,s:o,s:o,s:o,s:O?}", "version", 1, "size", plan->width,
                     plan->height, "time_base", plan->time_base_num, plan->time_base_den, "rate", plan->rate_num,
                     plan->rate_den, "frames", (json_int_t)plan->frame_count, "end_pts", (json_int_t)plan->end_pts,
                     "segments", segments, "shots", shots, "languages", languages, "media", plan->media);
}

static bool segment_from_json(json_t *json, struct plan_segment *out) {
    json_int_t first, frames, start, end;
    if (json_unpack(json, "[I,I,I,I]", &first, &frames, &start, &end) != 0)
        return false;
    *out = (struct plan_segment){first, frames, start, end};
    return true;
}

static bool output_from_json(json_t *json, struct plan_output *out) {
    json_int_t frames, start;
    int reversed;
    if (json_unpack(json, "[i,I,b,I]", &out->segment, &frames, &reversed, &start) != 0)
        return false;
    out->frames = frames;
    out->start_pts = start;
    out->reversed = reversed;
    return true;
}

static bool language_from_json(json_t *json, struct plan_language *out) {
    const char *language;
    json_int_t end;
    json_t *outputs;
    if (json_unpack(json, "{s:s,s:F,s:I,s:o}", "language", &language, "speech_seconds", &out->speech_seconds, "end_pts",
                    &end, "outputs", &outputs) != 0)
        return false;
    out->language = xstrdup(language);
    out->end_pts = end;
    out->output_count = json_array_size(outputs);
    out->outputs = xnew_array(struct plan_output, out->output_count);
    for (size_t i = 0; i < out->output_count; i++)
        if (!output_from_json(json_array_get(outputs, i), &out->outputs[i]))
            return false;
    return true;
}

static bool lists_from_json(json_t *segments, json_t *shots, json_t *languages, struct plan *plan) {
    plan->segment_count = json_array_size(segments);
    plan->segments = xnew_array(struct plan_segment, plan->segment_count);
    for (size_t i = 0; i < plan->segment_count; i++)
        if (!segment_from_json(json_array_get(segments, i), &plan->segments[i]))
            return false;
    plan->shot_count = json_array_size(shots);
    plan->shots = xnew_array(int64_t, plan->shot_count);
    for (size_t i = 0; i < plan->shot_count; i++)
        plan->shots[i] = json_integer_value(json_array_get(shots, i));
    plan->language_count = json_array_size(languages);
    plan->languages = xnew_array(struct plan_language, plan->language_count);
    for (size_t i = 0; i < plan->language_count; i++)
        if (!language_from_json(json_array_get(languages, i), &plan->languages[i]))
            return false;
    return true;
}

/* ---- what a plan promises its users, who index by it without asking again ---- */

/* So far from the ends of int64_t that sums of a few times cannot overflow. */
static bool is_plan_time(int64_t pts) { return pts >= 0 && pts <= INT64_MAX / 4; }

static bool segments_are_sound(const struct plan *plan) {
    int64_t frames = 0, pts = 0;
    for (size_t i = 0; i < plan->segment_count; i++) {
        const struct plan_segment *segment = &plan->segments[i];
        if (segment->first_frame != frames || segment->frames < 1 || segment->frames > plan->frame_count - frames ||
            segment->start_pts != pts || segment->end_pts <= pts)
            return false;
        frames += segment->frames;
        pts = segment->end_pts;
    }
    return frames > 0 && frames == plan->frame_count && pts == plan->end_pts && is_plan_time(pts);
}

static bool shots_are_sound(const struct plan *plan) {
    for (size_t i = 1; i < plan->shot_count; i++)
        if (plan->shots[i] <= plan->shots[i - 1])
            return false;
    return plan->shot_count > 0 && plan->shots[0] == 0 && plan->shots[plan->shot_count - 1] < plan->frame_count;
}

static bool language_is_sound(const struct plan *plan, const struct plan_language *language) {
    int64_t after = -1; /* when the output before begins */
    for (size_t i = 0; i < language->output_count; i++) {
        const struct plan_output *output = &language->outputs[i];
        if (output->segment < 0 || (size_t)output->segment >= plan->segment_count || output->frames < 1 ||
            output->frames > plan->segments[output->segment].frames || output->start_pts <= after)
            return false;
        after = output->start_pts;
    }
    const double longest_s = 1e7; /* of a speech; more than any film */
    return language->output_count > 0 && language->outputs[0].start_pts == 0 && language->end_pts > after &&
           is_plan_time(language->end_pts) && language_is_valid(language->language) && language->speech_seconds >= 0 &&
           language->speech_seconds <= longest_s;
}

static bool plan_is_sound(const struct plan *plan) {
    bool sound = plan->width > 0 && plan->height > 0 && plan->time_base_num > 0 && plan->time_base_den > 0 &&
                 segments_are_sound(plan) && shots_are_sound(plan) && plan->language_count <= CAMPAIGN_DUBS_MAX;
    for (size_t i = 0; i < plan->language_count && sound; i++)
        sound = language_is_sound(plan, &plan->languages[i]) &&
                plan_language_find(plan, plan->languages[i].language) == &plan->languages[i];
    return sound;
}

struct plan *plan_from_json(const json_t *json, struct error *err) {
    _cleanup_plan_ struct plan *plan = xnew(struct plan);
    json_t *segments, *shots, *languages, *media = NULL;
    json_int_t frames, end;
    int version;
    bool read =
        json_unpack((json_t *)(uintptr_t)json, "{s:i,s:[i,i],s:[i,i],s:[i,i],s:I,s:I,s:o,s:o,s:o,s?o}", "version",
                    &version, "size", &plan->width, &plan->height, "time_base", &plan->time_base_num,
                    &plan->time_base_den, "rate", &plan->rate_num, &plan->rate_den, "frames", &frames, "end_pts", &end,
                    "segments", &segments, "shots", &shots, "languages", &languages, "media", &media) == 0;
    if (read) {
        plan->frame_count = frames;
        plan->end_pts = end;
    }
    if (read && version == 1 && lists_from_json(segments, shots, languages, plan) && plan_is_sound(plan)) {
        plan->media = json_incref(media);
        return steal(plan);
    }
    error_set(err, ERR_INTERNAL, "the plan was not written by this version of mela; cancel and submit again");
    return NULL;
}

/* ---- the graph ---- */

const struct plan_language *plan_language_find(const struct plan *plan, const char *language) {
    for (size_t i = 0; i < plan->language_count; i++)
        if (strcmp(plan->languages[i].language, language) == 0)
            return &plan->languages[i];
    return NULL;
}

/* Which segments any language shows; caller frees. */
static bool *shown_segments(const struct plan *plan) {
    bool *shown = xnew_array(bool, plan->segment_count);
    for (size_t i = 0; i < plan->language_count; i++)
        for (size_t k = 0; k < plan->languages[i].output_count; k++)
            shown[plan->languages[i].outputs[k].segment] = true;
    return shown;
}

static struct job_spec *add_job(struct job_spec **jobs, size_t *count, struct job_id id, const char *language) {
    *jobs = xgrown(*jobs, *count, sizeof **jobs);
    struct job_spec *job = &(*jobs)[(*count)++];
    *job = (struct job_spec){0};
    snprintf(id.language, sizeof id.language, "%s", language);
    job_id_format(&id, job->id);
    return job;
}

static size_t children_of_plan(const struct plan *plan, const struct job_id *done, struct job_spec **jobs) {
    size_t count = 0;
    struct job_id id = *done;
    _cleanup_free_ bool *shown = shown_segments(plan);
    for (size_t s = 0; s < plan->segment_count; s++)
        if (shown[s]) {
            id.kind = KIND_TRACK;
            id.index = (int)s;
            add_job(jobs, &count, id, "");
        }
    for (size_t i = 0; i < plan->language_count; i++) {
        id.kind = KIND_JOIN;
        id.index = 0;
        add_job(jobs, &count, id, plan->languages[i].language)->waits_for = (int)plan->languages[i].output_count;
    }
    return count;
}

static size_t children_of_track(const struct plan *plan, const struct job_id *done, struct job_spec **jobs) {
    size_t count = 0;
    struct job_id id = *done;
    for (size_t i = 0; i < plan->language_count; i++)
        for (size_t k = 0; k < plan->languages[i].output_count; k++)
            if (plan->languages[i].outputs[k].segment == done->index) {
                id.kind = KIND_DUB;
                id.index = (int)k;
                struct job_spec *job = add_job(jobs, &count, id, plan->languages[i].language);
                struct job_id join = {.kind = KIND_JOIN};
                memcpy(join.campaign, done->campaign, sizeof join.campaign);
                snprintf(join.language, sizeof join.language, "%s", plan->languages[i].language);
                job_id_format(&join, job->next);
            }
    return count;
}

size_t plan_children(const struct plan *plan, const struct job_id *done, struct job_spec **jobs) {
    *jobs = NULL;
    if (done->kind == KIND_PLAN)
        return children_of_plan(plan, done, jobs);
    return done->kind == KIND_TRACK ? children_of_track(plan, done, jobs) : 0;
}

/* A dub's input is the track of the segment that it shows; a join's are the dubs 0, 1, ... of its language. */
size_t plan_inputs(const struct plan *plan, const struct job_id *job, char (**ids)[JOB_ID_MAX + 1]) {
    struct job_id id = *job;
    const struct plan_language *language = plan_language_find(plan, id.language);
    *ids = NULL;
    if (!language || (id.kind == KIND_DUB && (size_t)id.index >= language->output_count))
        return 0;
    size_t count = id.kind == KIND_DUB ? 1 : language->output_count;
    *ids = xcalloc(count, sizeof **ids);
    id.index = id.kind == KIND_DUB ? language->outputs[id.index].segment : 0;
    if (id.kind == KIND_DUB)
        id.language[0] = '\0';
    id.kind = id.kind == KIND_DUB ? KIND_TRACK : KIND_DUB;
    for (size_t i = 0; i < count; i++, id.index++)
        job_id_format(&id, (*ids)[i]);
    return count;
}
