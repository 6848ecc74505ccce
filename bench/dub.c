/* mela-bench dub: the pipeline beside its generator alone, on the same machine in the same run. "Bare" is the generator
 * without decoding, cropping, blending and encoding: no pipeline can be quicker. */
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "bench.h"
#include "cli/worker/model_flags.h"
#include "executor/executor.h"

enum { SEGMENTS_LEAST = 3 };

/* One campaign with one dub, whose jobs read and write local files. */
struct dub_bench {
    char *directory; /* where every job leaves its files */
    const char *video, *audio;
    struct models *models;
    struct campaign *campaign;
    struct plan *plan;
};

static void dub_bench_close(struct dub_bench *bench) {
    plan_free_cleanup(&bench->plan);
    campaign_free_cleanup(&bench->campaign);
    models_free_cleanup(&bench->models);
    if (bench->directory)
        tree_remove(bench->directory);
    free(bench->directory);
}

static double seconds_since(int64_t started) { return (double)(clock_monotonic_ns(clock_system()) - started) / 1e9; }

#define NO_URI "sha256:0000000000000000000000000000000000000000000000000000000000000000"

static bool make_campaign(struct cli *cli, struct dub_bench *bench, struct error *err) {
    double segment;
    if (!cli_number(cli, "segment-seconds", 10, 1, 60, &segment, err))
        return false;
    const char *lips = cli_value(cli, "lips") ? cli_value(cli, "lips") : "wav2lip-96-random";
    _cleanup_json_ json_t *spec =
        json_pack("{s:s,s:s,s:[{s:s,s:s}],s:{s:s,s:f,s:s,s:b}}", "name", "bench", "video", NO_URI, "dubs", "language",
                  "en", "audio", NO_URI, "options", "lips", lips, "segment_seconds", segment, "sync", "silence",
                  "enhance", cli_flag(cli, "enhance"));
    _cleanup_json_ json_t *problems = json_array();
    bench->campaign = campaign_parse(spec, "bench", problems);
    return bench->campaign || error_set(err, ERR_USAGE, "\"%s\" is not a model's name", lips);
}

static bool dub_bench_open(struct cli *cli, struct dub_bench *bench, struct error *err) {
    static const enum pool pools[] = {POOL_CPU, POOL_LIPSYNC};
    bench->video = cli_value(cli, "video");
    bench->audio = cli_value(cli, "audio");
    if (!bench->video || !bench->audio)
        return error_set(err, ERR_USAGE, "say what to dub: --video FILE and --audio FILE");
    _cleanup_model_flags_ struct model_flags flags = {0};
    int64_t batch;
    if (!model_flags_read(cli, &flags, err) || !cli_integer(cli, "batch", 0, 1, 1024, &batch, err))
        return false;
    flags.options.batch = (int)batch;
    const char *temporary = getenv("TMPDIR");
    bench->directory = directory_make_temporary(temporary ? temporary : "/tmp", "mela-bench", err);
    if (!bench->directory)
        return false;
    bench->models = models_load(&flags.options, pools, ARRAY_LENGTH(pools), err);
    return bench->models && make_campaign(cli, bench, err);
}

static char *bench_path(const struct dub_bench *bench, const char *name) {
    return xasprintf("%s/%s", bench->directory, name);
}

/* Cuts the part of the decoded speech that the dub shows into a file of its own. Returns its path, which the caller
 * frees. */
static char *cut_speech(const struct dub_bench *bench, const struct job_source *source, struct error *err) {
    _cleanup_free_ char *from = bench_path(bench, "speech-en.pcm"), *path = bench_path(bench, source->name);
    _cleanup_buffer_ struct buffer whole = {0};
    if (!file_read(from, SIZE_MAX, &whole, err))
        return NULL;
    size_t first = MIN((size_t)source->first, whole.length);
    size_t length = MIN((size_t)source->length, whole.length - first);
    return file_write_atomic(path, whole.data + first, length, 0644, err) ? steal(path) : NULL;
}

/* Where the source is on this machine; the caller frees. */
static char *find_source(const struct dub_bench *bench, const struct job_source *source, struct error *err) {
    if (source->uri)
        return xstrdup(strcmp(source->name, "video") == 0 ? bench->video : bench->audio);
    return source->job ? bench_path(bench, "track.trk") : cut_speech(bench, source, err);
}

enum { INPUTS_MAX = 3 }; /* of a dub, which has the most */

/* The job's sources as local files; the caller frees the paths, also after a failure. */
static bool find_inputs(const struct dub_bench *bench, const struct job_files *files, char *paths[INPUTS_MAX],
                        struct job_file inputs[INPUTS_MAX], struct error *err) {
    for (size_t i = 0; i < MIN(files->source_count, INPUTS_MAX); i++) {
        paths[i] = find_source(bench, &files->sources[i], err);
        inputs[i] = (struct job_file){files->sources[i].name, paths[i]};
        if (!paths[i])
            return false;
    }
    return true;
}

/* Runs one job on these inputs; its wall time is added to *seconds. */
static bool run_on_inputs(struct dub_bench *bench, const struct job_id *job, const struct job_file *inputs,
                          size_t count, struct work_result *result, double *seconds, struct error *err) {
    struct progress progress = {0};
    atomic_bool cancel = false;
    struct job_context context = {.campaign = bench->campaign,
                                  .plan = bench->plan,
                                  .job = *job,
                                  .models = bench->models,
                                  .inputs = inputs,
                                  .input_count = count,
                                  .scratch = bench->directory,
                                  .progress = &progress,
                                  .cancel = &cancel};
    int64_t started = clock_monotonic_ns(clock_system());
    bool done = executor_run_job(&context, result, err);
    *seconds += seconds_since(started);
    return done;
}

static bool run_job(struct dub_bench *bench, struct job_id job, struct work_result *result, double *seconds,
                    struct error *err) {
    _cleanup_job_files_ struct job_files files = {0};
    char *paths[INPUTS_MAX] = {NULL};
    struct job_file inputs[INPUTS_MAX];
    snprintf(job.campaign, sizeof job.campaign, "bench");
    bool done = executor_job_files(bench->campaign, bench->plan, &job, "", &files, err) &&
                find_inputs(bench, &files, paths, inputs, err) &&
                run_on_inputs(bench, &job, inputs, files.source_count, result, seconds, err);
    for (size_t i = 0; i < INPUTS_MAX; i++)
        free(paths[i]);
    return done;
}

static void add_steps(json_t *sums, const json_t *report) {
    const char *step;
    json_t *value;
    json_object_foreach (json_object_get(report, "steps_ms"), step, value)
        json_object_set_new(sums, step, json_integer(json_get_integer(sums, step, 0) + json_integer_value(value)));
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* What a piece of work took. Where other programs run beside, the processor time is the steadier figure. */
struct cost {
    double wall, cpu; /* seconds */
    int64_t frames;
};

/* Runs the generator alone, on full batches of noise, for about `frames` frames (at least four batches). What it took
 * is added to *cost. */
static bool run_bare(struct lips *lips, int64_t frames, struct cost *cost, struct error *err) {
    size_t batch = (size_t)lips_batch(lips), plane = (size_t)lips_size(lips) * (size_t)lips_size(lips);
    _cleanup_free_ float *mels = xnew_array(float, batch *MEL_BANDS *MEL_WINDOW);
    _cleanup_free_ float *crops = xnew_array(float, batch * 3 * plane), *out = xnew_array(float, batch * 3 * plane);
    for (size_t i = 0; i < batch * 3 * plane; i++)
        crops[i] = (float)(i * 2654435761U % 1024) / 1024;
    int64_t runs = MAX(frames / (int64_t)batch, 4), started = clock_monotonic_ns(clock_system());
    double cpu = cpu_seconds();
    for (int64_t i = 0; i < runs; i++)
        if (!lips_run(lips, (int)batch, mels, crops, out, err))
            return false;
    cost->wall += seconds_since(started);
    cost->cpu += cpu_seconds() - cpu;
    cost->frames += runs * (int64_t)batch;
    return true;
}

/* One segment's dub, and the bare model on as many frames before and after it. */
struct pair {
    struct cost dub, bare;
};

struct totals {
    double plan, track; /* wall seconds */
    json_t *steps;      /* of the dubs */
    struct pair *pairs;
    size_t pair_count;
};

static void totals_free(struct totals *totals) {
    json_decref(totals->steps);
    free(totals->pairs);
}

static bool run_track(struct dub_bench *bench, int index, struct totals *totals, struct error *err) {
    _cleanup_work_result_ struct work_result track = {0};
    struct job_id id = {.kind = KIND_TRACK, .index = index};
    return run_job(bench, id, &track, &totals->track, err);
}

static bool run_dub(struct dub_bench *bench, int index, struct totals *totals, struct cost *cost, struct error *err) {
    _cleanup_work_result_ struct work_result dub = {0};
    struct job_id id = {.kind = KIND_DUB, .index = index, .language = "en"};
    double cpu = cpu_seconds();
    if (!run_job(bench, id, &dub, &cost->wall, err))
        return false;
    cost->cpu = cpu_seconds() - cpu;
    cost->frames = json_get_integer(dub.report, "frames", 0);
    add_steps(totals->steps, dub.report);
    return true;
}

/* The bare model runs half before and half after, so that a machine that slows down slows both. */
static bool run_segment(struct dub_bench *bench, struct lips *lips, int index, struct totals *totals,
                        struct error *err) {
    int64_t half = bench->plan->segments[index].frames / 2;
    totals->pairs = xreallocarray(totals->pairs, totals->pair_count + 1, sizeof *totals->pairs);
    struct pair *pair = &totals->pairs[totals->pair_count++];
    *pair = (struct pair){0};
    return run_track(bench, index, totals, err) && run_bare(lips, half, &pair->bare, err) &&
           run_dub(bench, index, totals, &pair->dub, err) && run_bare(lips, half, &pair->bare, err);
}

static bool run_plan(struct dub_bench *bench, struct totals *totals, struct error *err) {
    _cleanup_work_result_ struct work_result result = {0};
    if (!run_job(bench, (struct job_id){.kind = KIND_PLAN}, &result, &totals->plan, err))
        return false;
    _cleanup_free_ char *path = bench_path(bench, "plan.json");
    _cleanup_buffer_ struct buffer text = {0};
    if (!file_read(path, SIZE_MAX, &text, err))
        return false;
    _cleanup_json_ json_t *json = json_parse(text.data, text.length, err);
    bench->plan = json ? plan_from_json(json, err) : NULL;
    return bench->plan;
}

/* A film of less than SEGMENTS_LEAST segments is dubbed several times, so that there is a segment in the middle. */
static bool run_segments(struct dub_bench *bench, struct lips *lips, struct totals *totals, struct error *err) {
    while (totals->pair_count < SEGMENTS_LEAST)
        for (size_t i = 0; i < bench->plan->segment_count; i++)
            if (!run_segment(bench, lips, (int)i, totals, err))
                return false;
    return true;
}

static double rate(const struct cost *cost) { return (double)cost->frames / cost->wall; }
static double wall_ratio(const struct pair *pair) { return rate(&pair->bare) / rate(&pair->dub); }

static int compare_ratios(const void *a, const void *b) {
    double first = wall_ratio(a), second = wall_ratio(b);
    return (first > second) - (first < second);
}

/* The figures are those of the segment with the median ratio: a shared machine is now quicker, now slower. */
static const struct pair *middle(const struct totals *totals) {
    qsort(totals->pairs, totals->pair_count, sizeof *totals->pairs, compare_ratios);
    return &totals->pairs[totals->pair_count / 2];
}

static json_t *report(const struct dub_bench *bench, struct lips *lips, const struct totals *totals) {
    const struct pair *pair = middle(totals);
    const struct cost *dub = &pair->dub, *bare = &pair->bare;
    struct cost all = {0};
    for (size_t i = 0; i < totals->pair_count; i++) {
        all.wall += totals->pairs[i].dub.wall;
        all.frames += totals->pairs[i].dub.frames;
    }
    double cpu_ratio = dub->cpu / (double)dub->frames / (bare->cpu / (double)bare->frames);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return json_pack("{s:s,s:i,s:i,s:i,s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:I,s:O}", "lips", bench->campaign->options.lips,
                     "batch", lips_batch(lips), "width", bench->plan->width, "height", bench->plan->height, "frames",
                     (json_int_t)all.frames, "pipeline_fps", rate(dub), "bare_fps", rate(bare), "wall_ratio",
                     wall_ratio(pair), "cpu_ratio", cpu_ratio, "plan_seconds", totals->plan, "track_seconds",
                     totals->track, "dub_seconds", all.wall, "peak_rss_mb", (json_int_t)(usage.ru_maxrss / 1024),
                     "steps_ms", totals->steps);
}

static bool bench_dub_run(struct cli *cli, struct error *err) {
    _cleanup_(dub_bench_close) struct dub_bench bench = {0};
    _cleanup_(totals_free) struct totals totals = {.steps = json_object()};
    struct cost warm = {0};
    if (!dub_bench_open(cli, &bench, err))
        return false;
    struct lips *lips = models_lips(bench.models, bench.campaign->options.lips, err);
    if (!lips || !run_plan(&bench, &totals, err) || !run_bare(lips, 0, &warm, err) ||
        !run_segments(&bench, lips, &totals, err))
        return false;
    _cleanup_json_ json_t *json = report(&bench, lips, &totals);
    if (cli_json(cli))
        cli_print_json(json);
    else
        printf("%dx%d, %s: %.1f frames/s through the pipeline, %.1f by the bare model: %.2fx its wall time\n",
               bench.plan->width, bench.plan->height, bench.campaign->options.lips,
               json_get_number(json, "pipeline_fps", 0), json_get_number(json, "bare_fps", 0),
               json_get_number(json, "wall_ratio", 0));
    return true;
}

static const struct cli_option options[] = {
    {"lips", "NAME", "lips model, default wav2lip-96-random"},
    {"video", "FILE", "master to dub; required"},
    {"audio", "FILE", "speech; required"},
    {"batch", "N", "frames of one run of the generator, default: 8 on the CPU, 128 on CUDA"},
    {"threads", "N", "threads of one network on the CPU, default: one a core"},
    {"segment-seconds", "S", "length of a segment, 1 to 60, default 10"},
    {"enhance", NULL, "sharpen the face too"},
    {0},
};

const struct command command_bench_dub = {
    .name = "dub",
    .summary = "measure the dub pipeline beside its generator alone",
    .help = "Dubs the video without a queue, and before and after each segment runs the generator alone on half as "
            "many frames. Prints frames/s of both, of the segment whose ratio is the median; a film of less than three "
            "segments is dubbed several times.\n\nExample:\n"
            "  mela-bench dub --models .deps/models --video .deps/media/demo/master.mp4 \\\n"
            "      --audio .deps/media/demo/en.wav\n",
    .options = options,
    .run = bench_dub_run,
};
