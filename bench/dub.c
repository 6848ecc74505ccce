/* mela-bench dub: how far the pipeline is from the bare model, on the same machine in the same run. */
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "bench.h"
#include "cli/worker/model_flags.h"
#include "executor/executor.h"

enum { SEGMENTS_LEAST = 3 };

/* A farm of one: a store and a cache in a temporary folder, and one campaign with one dub. */
struct bench {
    char *directory;
    struct store *store;
    struct cache *cache;
    struct models *models;
    struct campaign *campaign;
    struct plan *plan;
    char *track; /* key of the face track just made */
};

static void bench_close(struct bench *bench) {
    free(bench->track);
    plan_free_cleanup(&bench->plan);
    campaign_free_cleanup(&bench->campaign);
    models_free_cleanup(&bench->models);
    cache_close_cleanup(&bench->cache);
    store_close_cleanup(&bench->store);
    if (bench->directory)
        tree_remove(bench->directory);
    free(bench->directory);
}

static double seconds_since(int64_t started) { return (double)(clock_monotonic_ns(clock_system()) - started) / 1e9; }

/* Puts a local file into the store; its URI, which the caller frees. */
static char *upload(struct store *store, const char *path, struct error *err) {
    char hex[SHA256_HEX + 1];
    if (!sha256_file(path, hex, NULL, err))
        return NULL;
    _cleanup_free_ char *key = layout_file(hex);
    return store_put_file(store, key, path, 0, err) ? xasprintf("sha256:%s", hex) : NULL;
}

static bool make_campaign(struct cli *cli, struct bench *bench, struct error *err) {
    _cleanup_free_ char *video = upload(bench->store, cli_value(cli, "video"), err);
    _cleanup_free_ char *audio = video ? upload(bench->store, cli_value(cli, "audio"), err) : NULL;
    double segment;
    if (!audio || !cli_number(cli, "segment-seconds", 10, 1, 60, &segment, err))
        return false;
    const char *lips = cli_value(cli, "lips") ? cli_value(cli, "lips") : "wav2lip-96-random";
    _cleanup_json_ json_t *spec =
        json_pack("{s:s,s:s,s:[{s:s,s:s}],s:{s:s,s:f,s:s,s:b}}", "name", "bench", "video", video, "dubs", "language",
                  "en", "audio", audio, "options", "lips", lips, "segment_seconds", segment, "sync", "silence",
                  "enhance", cli_flag(cli, "enhance"));
    _cleanup_json_ json_t *problems = json_array();
    bench->campaign = campaign_parse(spec, "bench", problems);
    return bench->campaign || error_set(err, ERR_USAGE, "\"%s\" is not a model's name", lips);
}

static bool open_bench(struct cli *cli, struct bench *bench, struct error *err) {
    static const enum pool pools[] = {POOL_CPU, POOL_LIPSYNC};
    if (!cli_value(cli, "video") || !cli_value(cli, "audio"))
        return error_set(err, ERR_USAGE, "say what to dub with --video FILE and --audio FILE");
    _cleanup_model_flags_ struct model_flags flags = {0};
    int64_t batch;
    if (!model_flags_read(cli, &flags, err) || !cli_integer(cli, "batch", 0, 1, 1024, &batch, err))
        return false;
    flags.options.batch = (int)batch;
    const char *temporary = getenv("TMPDIR");
    bench->directory = directory_make_temporary(temporary ? temporary : "/tmp", "mela-bench", err);
    if (!bench->directory)
        return false;
    _cleanup_free_ char *url = xasprintf("file://%s/store", bench->directory);
    _cleanup_free_ char *cache = xasprintf("%s/cache", bench->directory);
    return (bench->store = store_open(url, NULL, err)) && (bench->cache = cache_open(cache, 1LL << 36, err)) &&
           (bench->models = models_load(&flags.options, pools, ARRAY_LENGTH(pools), err)) &&
           make_campaign(cli, bench, err);
}

/* Runs one job; `took` gets its wall time. */
static bool run_job(struct bench *bench, struct job_id job, const char *artifact, struct work_result *result,
                    double *took, struct error *err) {
    struct progress progress = {0};
    atomic_bool cancel = false;
    const char *inputs[] = {bench->track};
    snprintf(job.campaign, sizeof job.campaign, "bench");
    struct job_context context = {.campaign = bench->campaign,
                                  .plan = bench->plan,
                                  .job = job,
                                  .store = bench->store,
                                  .cache = bench->cache,
                                  .models = bench->models,
                                  .scratch = bench->directory,
                                  .artifact = artifact,
                                  .inputs = inputs,
                                  .input_count = job.kind == KIND_DUB,
                                  .progress = &progress,
                                  .cancel = &cancel};
    int64_t started = clock_monotonic_ns(clock_system());
    bool done = executor_run_job(&context, result, err);
    *took += seconds_since(started);
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

/* What a piece of work took. CPU time tells more than wall time where other programs run beside. */
struct cost {
    double wall, cpu; /* seconds */
    int64_t frames;
};

/* The generator alone, full batches of noise, for about so many frames; added to `cost`. */
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

static bool run_track(struct bench *bench, int index, struct totals *totals, struct error *err) {
    _cleanup_work_result_ struct work_result track = {0};
    free(bench->track);
    bench->track = xasprintf("track-%d", index);
    struct job_id id = {.kind = KIND_TRACK, .index = index};
    return run_job(bench, id, bench->track, &track, &totals->track, err);
}

static bool run_dub(struct bench *bench, int index, struct totals *totals, struct cost *cost, struct error *err) {
    _cleanup_work_result_ struct work_result dub = {0};
    struct job_id id = {.kind = KIND_DUB, .index = index, .language = "en"};
    _cleanup_free_ char *artifact = xasprintf("dub-%d", index);
    double cpu = cpu_seconds();
    if (!run_job(bench, id, artifact, &dub, &cost->wall, err))
        return false;
    cost->cpu = cpu_seconds() - cpu;
    cost->frames = json_get_integer(dub.report, "frames", 0);
    add_steps(totals->steps, dub.report);
    return true;
}

/* The bare model runs half before and half after, so that a machine that slows down slows both. */
static bool run_segment(struct bench *bench, struct lips *lips, int index, struct totals *totals, struct error *err) {
    int64_t half = bench->plan->segments[index].frames / 2;
    totals->pairs = xreallocarray(totals->pairs, totals->pair_count + 1, sizeof *totals->pairs);
    struct pair *pair = &totals->pairs[totals->pair_count++];
    *pair = (struct pair){0};
    return run_track(bench, index, totals, err) && run_bare(lips, half, &pair->bare, err) &&
           run_dub(bench, index, totals, &pair->dub, err) && run_bare(lips, half, &pair->bare, err);
}

static bool run_plan(struct bench *bench, struct totals *totals, struct error *err) {
    _cleanup_work_result_ struct work_result plan = {0};
    if (!run_job(bench, (struct job_id){.kind = KIND_PLAN}, "plan.json", &plan, &totals->plan, err))
        return false;
    bench->plan = steal(plan.plan);
    return true;
}

/* A short film is dubbed several times, so that there is a middle. */
static bool run_segments(struct bench *bench, struct lips *lips, struct totals *totals, struct error *err) {
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

/* The middle segment's figures: a shared machine changes its speed from one ten seconds to the next. */
static const struct pair *middle(const struct totals *totals) {
    qsort(totals->pairs, totals->pair_count, sizeof *totals->pairs, compare_ratios);
    return &totals->pairs[totals->pair_count / 2];
}

static json_t *report(const struct bench *bench, struct lips *lips, const struct totals *totals) {
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

static bool run(struct cli *cli, struct error *err) {
    _cleanup_(bench_close) struct bench bench = {0};
    _cleanup_(totals_free) struct totals totals = {.steps = json_object()};
    struct cost warm = {0};
    if (!open_bench(cli, &bench, err))
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
    {"lips", "NAME", "lips model (default wav2lip-96-random)"},
    {"video", "FILE", "master to dub"},
    {"audio", "FILE", "speech"},
    {"batch", "N", "frames of one generator run"},
    {"threads", "N", "threads of one network on the CPU"},
    {"segment-seconds", "N", "length of a segment (default 10)"},
    {"enhance", NULL, "sharpen the face crop as well"},
    {0},
};

const struct command command_bench_dub = {
    .name = "dub",
    .summary = "frames/s of the pipeline beside the bare model's",
    .help = "Dubs the video without a queue, and runs the generator alone on as many frames before and after each "
            "segment. The rates are those of the segment in the middle; a film of less than three segments is dubbed "
            "several times.\n\nExample:\n"
            "  mela-bench dub --lips wav2lip-96-random --video clip-720p.mp4 --audio speech.wav --json",
    .options = options,
    .run = run,
};
