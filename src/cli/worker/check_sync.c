/* check sync: do the lips of a finished dub follow its own speech? */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "cli/worker/commands.h"
#include "model/zoo.h"

enum { LAG_MAX = 8 }; /* frames that the mouth may be early or late */

struct measures {
    double *opening, *energy; /* of each frame: how open the mouth is (NAN: no face), how loud the sound */
    struct span {
        double start, end; /* seconds */
    } *shown;
    size_t count, capacity;
    size_t faces; /* frames with one */
};

static void measures_free(struct measures *measures) {
    free(measures->opening);
    free(measures->energy);
    free(measures->shown);
}

static void measures_add(struct measures *m, double opening, struct span shown) {
    if (m->count == m->capacity) {
        m->capacity = MAX(m->capacity * 2, 1024);
        m->opening = xreallocarray(m->opening, m->capacity, sizeof *m->opening);
        m->energy = xreallocarray(m->energy, m->capacity, sizeof *m->energy);
        m->shown = xreallocarray(m->shown, m->capacity, sizeof *m->shown);
    }
    m->opening[m->count] = opening;
    m->shown[m->count++] = shown;
    m->faces += !isnan(opening);
}

/* Root mean square of the sound heard while a frame is on the screen. */
static double energy_at(const struct audio *audio, double start, double end) {
    double sum = 0;
    int64_t first = CLAMP(llround(start * AUDIO_RATE), 0, audio->count);
    int64_t last = CLAMP(llround(end * AUDIO_RATE), first, audio->count);
    for (int64_t i = first; i < last; i++)
        sum += (double)audio->samples[i] * audio->samples[i];
    return last > first ? sqrt(sum / (double)(last - first)) : 0;
}

/* Pearson's r of opening[i] against energy[i - lag]; NAN when either does not vary. */
static double correlate(const struct measures *m, int lag) {
    double n = 0, sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
    for (size_t i = 0; i < m->count; i++) {
        int64_t j = (int64_t)i - lag;
        if (j < 0 || j >= (int64_t)m->count || isnan(m->opening[i]))
            continue;
        double x = m->opening[i], y = m->energy[j];
        n++;
        sx += x;
        sy += y;
        sxx += x * x;
        syy += y * y;
        sxy += x * y;
    }
    double spread = (n * sxx - sx * sx) * (n * syy - sy * sy);
    return spread > 0 ? (n * sxy - sx * sy) / sqrt(spread) : NAN;
}

/* Pearson's r of two videos' mouths, frame by frame. */
static double correlate_mouths(const struct measures *a, const struct measures *b) {
    struct measures pair = {.opening = a->opening, .energy = xnew_array(double, a->count), .count = a->count};
    for (size_t i = 0; i < a->count; i++) {
        bool both = i < b->count && !isnan(b->opening[i]);
        pair.energy[i] = both ? b->opening[i] : 0;
        if (!both)
            pair.opening[i] = NAN;
    }
    double r = correlate(&pair, 0);
    free(pair.energy);
    return r;
}

struct networks {
    struct zoo *zoo;
    struct detector *detector;
    struct mesh *mesh;
};

static void networks_close(struct networks *n) {
    mesh_close_cleanup(&n->mesh);
    detector_close_cleanup(&n->detector);
    zoo_close_cleanup(&n->zoo);
}

static bool networks_open(struct cli *cli, struct networks *n, struct error *err) {
    _cleanup_model_flags_ struct model_flags flags = {0};
    if (!model_flags_read(cli, &flags, err))
        return false;
    n->zoo = zoo_open(flags.manifests, flags.directory, err);
    if (!n->zoo)
        return false;
    zoo_set_cache(n->zoo, flags.graphs);
    n->detector = detector_open(n->zoo, ZOO_DETECTOR, &flags.options.device, err);
    if (!n->detector)
        return false;
    n->mesh = mesh_open(n->zoo, ZOO_MESH, &flags.options.device, err);
    return n->mesh != NULL;
}

/* How open the largest face's mouth is; NAN without a face. While *following, the face is sought where it was in the
 * frame before (*face), without the detector. */
static bool measure_frame(struct networks *n, const struct frame *frame, struct mesh_face *face, bool *following,
                          double *opening, struct error *err) {
    struct affine region;
    if (*following) {
        region = mesh_region_of_landmarks(face);
    } else {
        struct face found[8];
        int count, best = 0;
        *opening = NAN;
        if (!detector_run(n->detector, frame, found, ARRAY_LENGTH(found), &count, err))
            return false;
        if (count == 0)
            return true;
        for (int i = 1; i < count; i++)
            if (found[i].width > found[best].width)
                best = i;
        region = mesh_region_of_face(&found[best]);
    }
    if (!mesh_run(n->mesh, frame, &region, face, err))
        return false;
    *following = face->presence >= 0.5F;
    *opening = *following ? mesh_mouth_opening(face) : NAN;
    return true;
}

static bool measure_video(struct networks *n, const char *path, struct measures *out, struct error *err) {
    _cleanup_video_reader_ struct video_reader *reader = video_open(path, 0, NULL, err);
    if (!reader)
        return error_wrap(err, "%s", path);
    const struct video_info *info = video_reader_info(reader);
    struct mesh_face face = {0};
    bool following = false;
    for (;;) {
        struct frame *next = NULL;
        if (!video_next(reader, &next, err))
            return error_wrap(err, "%s", path);
        if (!next)
            return true;
        _cleanup_frame_ struct frame *frame = next;
        double opening;
        if (!measure_frame(n, frame, &face, &following, &opening, err))
            return false;
        double tick = (double)info->time_base_num / info->time_base_den;
        measures_add(out, opening,
                     (struct span){(double)frame->pts * tick, (double)(frame->pts + frame->duration) * tick});
    }
}

static json_t *number_or_null(double value) { return isnan(value) ? json_null() : json_real(value); }

static json_t *sync_report(const struct measures *m, const struct measures *original) {
    double best = NAN;
    int best_lag = 0;
    for (int lag = -LAG_MAX; lag <= LAG_MAX; lag++) {
        double r = correlate(m, lag);
        if (!isnan(r) && (isnan(best) || r > best)) {
            best = r;
            best_lag = lag;
        }
    }
    bool good = !isnan(best) && best >= 0.5 && abs(best_lag) <= 2;
    json_t *json = json_pack("{s:I,s:I,s:o,s:i,s:o,s:b}", "frames", (json_int_t)m->count, "faces", (json_int_t)m->faces,
                             "r", number_or_null(best), "lag_frames", best_lag, "r_at_zero",
                             number_or_null(correlate(m, 0)), "follows", good);
    if (original->count > 0)
        json_object_set_new(json, "r_original", number_or_null(correlate_mouths(m, original)));
    return json;
}

static void sync_print(const json_t *json) {
    printf("%s: mouth and speech correlate with r = %.2f, the mouth %+d frames behind; a face in %lld of %lld frames\n",
           json_get_bool(json, "follows", false) ? "the lips follow" : "the lips do NOT follow",
           json_get_number(json, "r", 0), (int)json_get_integer(json, "lag_frames", 0),
           (long long)json_get_integer(json, "faces", 0), (long long)json_get_integer(json, "frames", 0));
    if (json_object_get(json, "r_original"))
        printf("with the original's mouth: r = %.2f (near 1: the original's lips are still there)\n",
               json_get_number(json, "r_original", 0));
}

static bool check_sync_run(struct cli *cli, struct error *err) {
    const char *path = cli_argument(cli, 0), *audio_path = cli_value(cli, "audio");
    _cleanup_audio_ struct audio audio = {0};
    _cleanup_(networks_close) struct networks networks = {0};
    _cleanup_(measures_free) struct measures measures = {0}, original = {0};
    if (!audio_read(audio_path ? audio_path : path, &audio, err) || !networks_open(cli, &networks, err) ||
        !measure_video(&networks, path, &measures, err))
        return false;
    for (size_t i = 0; i < measures.count; i++)
        measures.energy[i] = energy_at(&audio, measures.shown[i].start, measures.shown[i].end);
    if (cli_value(cli, "original") && !measure_video(&networks, cli_value(cli, "original"), &original, err))
        return false;
    _cleanup_json_ json_t *json = sync_report(&measures, &original);
    if (cli_json(cli))
        cli_print_json(json);
    else
        sync_print(json);
    cli_set_status(cli, json_get_bool(json, "follows", false) ? STATUS_OK : STATUS_FAILED);
    return true;
}

static const struct cli_option options[] = {
    {"audio", "FILE", "speech to compare with (default: the video's own sound)"},
    {"original", "FILE", "the master: do the lips still follow its mouth?"},
    {"threads", "N", "threads of one network on the CPU"},
    {0},
};

const struct command command_check_sync = {
    .name = "check sync",
    .arguments = "FILE",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "do the lips of a dub follow its speech?",
    .help = "Finds the mouth in each frame by Face Mesh, and correlates how open it is with how loud the speech is. "
            "The lips follow when r is at least 0.5 with the mouth at most two frames early or late. Exit status 1 "
            "when they do not.\n\n"
            "Examples:\n"
            "  mela-worker check sync hi/final.mp4 --original master.mp4\n"
            "  mela-worker check sync final.mp4 --json",
    .options = options,
    .run = check_sync_run,
};
