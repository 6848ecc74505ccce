#include "dub/part.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "media/audio.h"
#include "media/mel.h"

char *source_speech_name(const char *language) { return xasprintf("speech-%s", language); }
char *target_speech_name(const char *language) { return xasprintf("speech-%s.pcm", language); }
char *source_part_name(size_t index) { return xasprintf("part-%04zu", index); }

bool source_part_parse(const char *name, size_t *index) {
    char *end;
    if (strncmp(name, "part-", 5) != 0)
        return false;
    *index = strtoul(name + 5, &end, 10);
    return end > name + 5 && *end == '\0';
}

double output_seconds(const struct plan *plan, const struct plan_output *output, int64_t pts) {
    return (double)(output->start_pts + pts) * plan->time_base_num / plan->time_base_den;
}

static void find_samples(const struct plan *plan, struct dub_part *part) {
    enum { HOP = AUDIO_RATE / MEL_PER_SECOND, MARGIN = 8 };
    double starts = output_seconds(plan, part->output, 0);
    double ends = output_seconds(plan, part->output, part->segment->end_pts - part->segment->start_pts);
    part->mel_start = MAX(0, (int64_t)floor(starts * MEL_PER_SECOND) - MARGIN);
    part->first_sample = part->mel_start * HOP;
    int64_t columns = (int64_t)ceil((ends - starts) * MEL_PER_SECOND) + MEL_WINDOW + 3 * MARGIN;
    int64_t left = (int64_t)llround(part->language->speech_seconds * AUDIO_RATE) - part->first_sample;
    part->sample_count = CLAMP(left, 0, columns * HOP);
}

bool dub_part_find(const struct plan *plan, const struct job_id *job, struct dub_part *out, struct error *err) {
    const struct plan_language *language = plan_language_find(plan, job->language);
    if (!language || (size_t)job->index >= language->output_count)
        return error_set(err, ERR_INTERNAL, "the plan does not fit the job %s/dub", job->language);
    const struct plan_output *output = &language->outputs[job->index];
    *out = (struct dub_part){.language = language, .output = output, .segment = &plan->segments[output->segment]};
    if (output->frames > out->segment->frames)
        return error_set(err, ERR_INTERNAL, "the plan shows more of segment %d than there is", output->segment);
    find_samples(plan, out);
    return true;
}
