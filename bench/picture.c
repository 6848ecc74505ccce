/* mela-bench picture: how long an image model takes over its steps, and the memory for it. With a UNet that costs
 * nothing (tests/picture/true_sdxl.py) a step's time is what the loop adds to a network. */
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "bench.h"
#include "cli/worker/model_flags.h"
#include "picture/picture.h"
#include "picture/png.h"

struct picture_watch {
    int64_t last_ns;      /* when the last step ended */
    double *step_seconds; /* one a step */
    int64_t peak_mb;      /* until the last step's end: decoding is not in it */
    float *latents;       /* of all pictures, after the last step */
    size_t latent_bytes;
};

static double picture_seconds(int64_t from_ns, int64_t to_ns) { return (double)(to_ns - from_ns) / 1e9; }

static int64_t peak_mb(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss / 1024;
}

static void note_step(void *context, int done, int steps, const float *latents) {
    struct picture_watch *watch = context;
    int64_t now = clock_monotonic_ns(clock_system());
    watch->step_seconds[done - 1] = picture_seconds(watch->last_ns, now);
    watch->last_ns = now;
    if (done < steps)
        return;
    watch->peak_mb = peak_mb();
    memcpy(watch->latents, latents, watch->latent_bytes);
}

static bool read_painting(struct cli *cli, struct painting *painting, struct error *err) {
    int64_t steps, width, height, count, seed;
    double guidance, rescale;
    *painting = (struct painting){
        .prompt = cli_value(cli, "prompt"),
        .negative = cli_value(cli, "negative"),
        .scheduler = {cli_value(cli, "scheduler"), cli_value(cli, "spacing"), cli_flag(cli, "karras") ? 1 : -1},
        .words = {.chunks = 1},
        .progress = note_step};
    if (!painting->prompt || !cli_value(cli, "model"))
        return error_set(err, ERR_USAGE, "say which model and what to paint: --model DIR and --prompt TEXT");
    if (!cli_integer(cli, "steps", 20, 1, SCHEDULER_STEPS, &steps, err) ||
        !cli_integer(cli, "width", 1024, PICTURE_LEAST, PICTURE_MOST, &width, err) ||
        !cli_integer(cli, "height", 1024, PICTURE_LEAST, PICTURE_MOST, &height, err) ||
        !cli_integer(cli, "count", 1, 1, PICTURE_COUNT, &count, err) ||
        !cli_integer(cli, "seed", 0, 0, UINT32_MAX, &seed, err) ||
        !cli_number(cli, "guidance", 5, 0, 100, &guidance, err) || !cli_number(cli, "rescale", 0, 0, 1, &rescale, err))
        return false;
    painting->steps = (int)steps;
    painting->width = (int)width;
    painting->height = (int)height;
    painting->count = (int)count;
    painting->seed = (uint32_t)seed;
    painting->guidance = (float)guidance;
    painting->rescale = (float)rescale;
    return true;
}

static bool write_pictures(struct cli *cli, const struct painting *painting, const uint8_t *rgb, struct error *err) {
    const char *output = cli_value(cli, "output");
    const struct png_text text = {"parameters", painting->prompt};
    size_t bytes = 3 * (size_t)painting->width * (size_t)painting->height;
    for (int k = 0; output && k < painting->count; k++) {
        _cleanup_free_ char *path = xasprintf("%s-%u.png", output, painting->seed + (uint32_t)k);
        if (!png_write(path, rgb + (size_t)k * bytes, (size_t)painting->width, (size_t)painting->height, &text, 1, err))
            return false;
    }
    return true;
}

static int compare_seconds(const void *a, const void *b) {
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

static json_t *picture_report(const struct painting *painting, struct picture_watch *watch, double load, double all) {
    qsort(watch->step_seconds, (size_t)painting->steps, sizeof *watch->step_seconds, compare_seconds);
    return json_pack("{s:i,s:i,s:i,s:i,s:f,s:f,s:f,s:I,s:I}", "width", painting->width, "height", painting->height,
                     "count", painting->count, "steps", painting->steps, "load_seconds", load, "step_seconds",
                     watch->step_seconds[painting->steps / 2], "seconds", all, "steps_peak_rss_mb",
                     (json_int_t)watch->peak_mb, "peak_rss_mb", (json_int_t)peak_mb());
}

static void watch_free(struct picture_watch *watch) {
    free(watch->step_seconds);
    free(watch->latents);
}
#define _cleanup_watch_ _cleanup_(watch_free)

static void watch_begin(struct picture_watch *watch, struct painting *painting) {
    struct sample_request size = {.width = painting->width, .height = painting->height};
    watch->latent_bytes = sample_latent_count(&size) * (size_t)painting->count * sizeof(float);
    watch->latents = xcalloc(1, watch->latent_bytes);
    watch->step_seconds = xnew_array(double, (size_t)painting->steps);
    watch->last_ns = clock_monotonic_ns(clock_system());
    painting->context = watch;
}

static bool write_latents(struct cli *cli, const struct picture_watch *watch, struct error *err) {
    const char *path = cli_value(cli, "latents");
    return !path || file_write_atomic(path, watch->latents, watch->latent_bytes, 0644, err);
}

static bool bench_picture_run(struct cli *cli, struct error *err) {
    struct painting painting;
    _cleanup_model_flags_ struct model_flags flags = {0};
    if (!read_painting(cli, &painting, err) || !model_flags_read(cli, &flags, err))
        return false;
    int64_t began = clock_monotonic_ns(clock_system());
    _cleanup_painter_ struct painter *painter = painter_open(cli_value(cli, "model"), &flags.options.device, NULL, err);
    if (!painter)
        return false;
    _cleanup_painting_cut_ struct painting_cut cut = {0};
    _cleanup_free_ uint8_t *rgb = xcalloc((size_t)painting.count, 3 * (size_t)painting.width * (size_t)painting.height);
    _cleanup_watch_ struct picture_watch watch = {0};
    watch_begin(&watch, &painting);
    int64_t loaded = watch.last_ns;
    if (!painter_paint(painter, &painting, rgb, &cut, err))
        return false;
    double all = picture_seconds(loaded, clock_monotonic_ns(clock_system()));
    _cleanup_json_ json_t *json = picture_report(&painting, &watch, picture_seconds(began, loaded), all);
    cli_print_json(json);
    return write_pictures(cli, &painting, rgb, err) && write_latents(cli, &watch, err);
}

static const struct cli_option options[] = {
    {"model", "DIR", "image model in the layout of diffusers' ONNX exports; required"},
    {"prompt", "TEXT", "what to paint; required"},
    {"negative", "TEXT", "what to avoid"},
    {"steps", "N", "default 20"},
    {"width", "PIXELS", "default 1024"},
    {"height", "PIXELS", "default 1024"},
    {"count", "N", "pictures at once, with seeds one after the other; default 1"},
    {"seed", "N", "default 0"},
    {"guidance", "G", "default 5"},
    {"rescale", "R", "of guidance, 0 to 1; default 0"},
    {"scheduler", "NAME", "euler, euler_ancestral, dpmpp_2m or lcm; default: the model's own"},
    {"spacing", "NAME", "linspace, leading or trailing; default: the model's own"},
    {"karras", NULL, "Karras' noise levels"},
    {"threads", "N", "threads of one network on the CPU, default: one a core"},
    {"output", "PREFIX", "write PREFIX-SEED.png"},
    {"latents", "FILE", "write the latents after the last step, float32"},
    {0},
};

const struct command command_bench_picture = {
    .name = "picture",
    .summary = "measure an image model",
    .help = "Paints once and prints how long loading, the step in the middle and the whole took, as JSON, and the "
            "memory.\n\nExample:\n"
            "  mela-bench picture --model sdxl --prompt \"a blue door\" --steps 4 --output door\n",
    .options = options,
    .run = bench_picture_run,
};
