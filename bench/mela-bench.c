/* mela-bench: measures the parts of a farm, each beside the limit that it cannot pass. It is not installed. */
#include "base/process.h"
#include "bench.h"
#include "media/media.h"
#include "model/model.h"

static const struct command *const commands[] = {&command_bench_queue, &command_bench_dub, &command_bench_image,
                                                 &command_bench_picture, NULL};

static const struct cli_option common[] = {
    {"models", "DIR", "folder with model weights"},
    {"manifests", "DIR", "folder with the model manifests that mela ships"},
    {"device", "D", "auto, cpu or cuda:N"},
    {"config", "FILE", "settings file; default farm.json in the working directory"},
    {0},
};

int main(int argc, char **argv) {
    process_begin();
    process_keep_memory();
    media_process_begin();
    model_process_begin();
    const struct program bench = {"mela-bench", "measures the parts of a farm", commands, common};
    return cli_main(&bench, argc, argv);
}
