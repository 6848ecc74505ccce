/* Paints with one set of LoRAs after another, in one process.
 *
 * usage: painters_tool MANIFESTS DIRECTORY CACHE|- MEMORY_MB
 * A line of its input is a request: {"key", "model", "loras": [{"name", "path", "weight"}], "output": file for the
 * pixels; without one nothing is painted, "prompt", "negative", "width", "height", "steps", "count", "seed",
 * "guidance", "tile", "cancel_after": steps}, or {"data_mb": how much more memory the process may have; 0: any}. A line
 * of its output is {"held", "origin"} or {"held", "error", "message"}. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"
#include "model/model.h"
#include "picture/painters.h"

enum { LORAS_MAX = 16 };

struct watch {
    atomic_bool cancel;
    int cancel_after;
};

static void note_step(void *context, int done, int steps, const float *latents) {
    struct watch *watch = context;
    (void)steps, (void)latents;
    if (done == watch->cancel_after)
        atomic_store(&watch->cancel, true);
}

static bool paint(struct painter *painter, const json_t *request, const char *output, struct error *err) {
    struct watch watch = {.cancel_after = (int)json_get_integer(request, "cancel_after", 0)};
    struct painting painting = {.prompt = json_get_string(request, "prompt", "a red cat"),
                                .negative = json_get_string(request, "negative", NULL),
                                .words = {.chunks = 1},
                                .scheduler = {.karras = -1},
                                .steps = (int)json_get_integer(request, "steps", 2),
                                .width = (int)json_get_integer(request, "width", 64),
                                .height = (int)json_get_integer(request, "height", 64),
                                .count = (int)json_get_integer(request, "count", 1),
                                .seed = (uint32_t)json_get_integer(request, "seed", 0),
                                .guidance = (float)json_get_number(request, "guidance", 5),
                                .tile = (int)json_get_integer(request, "tile", 0),
                                .cancel = &watch.cancel,
                                .progress = note_step,
                                .context = &watch};
    _cleanup_painting_cut_ struct painting_cut cut = {0};
    size_t bytes = 3 * (size_t)painting.width * (size_t)painting.height * (size_t)painting.count;
    _cleanup_free_ uint8_t *rgb = xcalloc(bytes, 1);
    return painter_paint(painter, &painting, rgb, &cut, err) && file_write_atomic(output, rgb, bytes, 0644, err);
}

static json_t *answer(struct painters *painters, const json_t *request, struct error *err) {
    struct painter_lora loras[LORAS_MAX];
    size_t count = 0, i;
    json_t *lora;
    json_array_foreach (json_object_get(request, "loras"), i, lora)
        if (count < LORAS_MAX)
            loras[count++] =
                (struct painter_lora){json_get_string(lora, "name", "a file"), json_get_string(lora, "path", NULL),
                                      (float)json_get_number(lora, "weight", 1)};
    struct painter *painter = painters_get(painters, json_get_string(request, "key", ""),
                                           json_get_string(request, "model", ""), loras, count, err);
    const char *output = json_get_string(request, "output", NULL);
    return painter && (!output || paint(painter, request, output, err)) ? painter_origin(painter) : NULL;
}

/* Of all that a process allocates; from what it has now. */
static void limit_data(int64_t more_mb) {
    _cleanup_buffer_ struct buffer text = {0};
    struct error err;
    struct rlimit limit;
    getrlimit(RLIMIT_DATA, &limit);
    const char *line = file_read("/proc/self/status", 1 << 16, &text, &err) ? strstr(text.data, "VmData:") : NULL;
    long long now = line ? strtoll(line + strlen("VmData:"), NULL, 10) << 10 : 0;
    limit.rlim_cur = more_mb ? (rlim_t)(now + (more_mb << 20)) : limit.rlim_max;
    setrlimit(RLIMIT_DATA, &limit);
}

int main(int argc, char **argv) {
    struct error err;
    char line[65536];
    process_begin();
    model_process_begin();
    struct painters_options options = {.manifests = argv[1],
                                       .directory = argv[2],
                                       .cache_directory = strcmp(argv[3], "-") == 0 ? NULL : argv[3],
                                       .device = {.threads = 1},
                                       .memory_mb = strtoll(argv[4], NULL, 10)};
    _cleanup_painters_ struct painters *painters = argc == 5 ? painters_open(&options, &err) : NULL;
    while (painters && fgets(line, sizeof line, stdin)) {
        _cleanup_json_ json_t *request = json_parse(line, strlen(line), &err), *held = NULL, *said = NULL;
        if (json_object_get(request, "data_mb")) {
            limit_data(json_get_integer(request, "data_mb", 0));
            continue;
        }
        json_t *origin = answer(painters, request, &err);
        held = painters_held(painters);
        said = origin ? json_pack("{s:O,s:o}", "held", held, "origin", origin)
                      : json_pack("{s:O,s:s,s:s}", "held", held, "error", error_name(err.code), "message", err.message);
        _cleanup_free_ char *text = json_line(said);
        puts(text);
        fflush(stdout);
    }
    if (!painters)
        fprintf(stderr, "%s: %s\n", error_name(err.code), err.message);
    return painters ? 0 : 1;
}
