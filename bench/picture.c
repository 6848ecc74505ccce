/* mela-bench picture: an image model beside its own UNet. What the loop does around the networks is the only thing that
 * is ours to make quick; so the time in networks is taken out. */
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/memory.h"
#include "bench.h"
#include "cli/worker/model_flags.h"
#include "picture/picture.h"
#include "picture/png.h"

struct picture_times {
    int64_t last_ns; /* when the last step ended */
    double *steps;   /* seconds a step */
};

static double picture_seconds(int64_t from_ns, int64_t to_ns) { return (double)(to_ns - from_ns) / 1e9; }

static void note_step(void *context, int done, int steps, const float *latents) {
    struct picture_times *times = context;
    int64_t now = clock_monotonic_ns(clock_system());
    times->steps[done - 1] = picture_seconds(times->last_ns, now);
    times->last_ns = now;
}

static bool read_painting(struct cli *cli, struct painting *painting, struct error *err) {
    int64_t steps, width, height, count, seed;
    double guidance;
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
        !cli_number(cli, "guidance", 5, 0, 100, &guidance, err))
        return false;
    painting->steps = (int)steps;
    painting->width = (int)width;
    painting->height = (int)height;
    painting->count = (int)count;
    painting->seed = (uint32_t)seed;
    painting->guidance = (float)guidance;
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

static json_t *picture_report(const struct painting *painting, struct picture_times *times, double load, double all) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    qsort(times->steps, (size_t)painting->steps, sizeof *times->steps, compare_seconds);
    return json_pack("{s:i,s:i,s:i,s:i,s:f,s:f,s:f,s:I}", "width", painting->width, "height", painting->height, "count",
                     painting->count, "steps", painting->steps, "load_seconds", load, "step_seconds",
                     times->steps[painting->steps / 2], "seconds", all, "peak_rss_mb",
                     (json_int_t)(usage.ru_maxrss / 1024));
}

static bool bench_picture_run(struct cli *cli, struct error *err) {
    struct painting painting;
    _cleanup_model_flags_ struct model_flags flags = {0};
    if (!read_painting(cli, &painting, err) || !model_flags_read(cli, &flags, err))
        return false;
    int64_t began = clock_monotonic_ns(clock_system());
    struct picture_times times = {0};
    _cleanup_free_ double *steps = times.steps = xnew_array(double, (size_t)painting.steps);
    _cleanup_painter_ struct painter *painter = painter_open(cli_value(cli, "model"), &flags.options.device, NULL, err);
    if (!painter)
        return false;
    painting.context = &times;
    _cleanup_painting_cut_ struct painting_cut cut = {0};
    _cleanup_free_ uint8_t *rgb = xcalloc((size_t)painting.count, 3 * (size_t)painting.width * (size_t)painting.height);
    int64_t loaded = times.last_ns = clock_monotonic_ns(clock_system());
    if (!painter_paint(painter, &painting, rgb, &cut, err))
        return false;
    double all = picture_seconds(loaded, clock_monotonic_ns(clock_system()));
    _cleanup_json_ json_t *json = picture_report(&painting, &times, picture_seconds(began, loaded), all);
    cli_print_json(json);
    return write_pictures(cli, &painting, rgb, err);
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
    {"scheduler", "NAME", "euler, euler_ancestral, dpmpp_2m or lcm; default: the model's own"},
    {"spacing", "NAME", "linspace, leading or trailing; default: the model's own"},
    {"karras", NULL, "Karras' noise levels"},
    {"threads", "N", "threads of one network on the CPU, default: one a core"},
    {"output", "PREFIX", "write PREFIX-SEED.png"},
    {0},
};

const struct command command_bench_picture = {
    .name = "picture",
    .summary = "measure an image model",
    .help = "Paints once and prints how long loading, the step in the middle and the whole took, as JSON.\n\nExample:\n"
            "  mela-bench picture --model sdxl --prompt \"a blue door\" --steps 4 --output door\n",
    .options = options,
    .run = bench_picture_run,
};
