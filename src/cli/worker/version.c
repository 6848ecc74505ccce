#include "base/json.h"
#include "cli/worker/commands.h"
#include "media/media.h"
#include "model/session.h"

static bool worker_version_run(struct cli *cli, struct error *err) {
    const char *ffmpeg = media_version(), *runtime = session_runtime_version();
    if (cli_json(cli)) {
        _cleanup_json_ json_t *version = json_pack("{s:s,s:s,s:s,s:s}", "program", "mela-worker", "version",
                                                   MELA_VERSION, "ffmpeg", ffmpeg, "onnxruntime", runtime);
        cli_print_json(version);
    } else {
        printf("mela-worker %s, FFmpeg %s, ONNX Runtime %s\n", MELA_VERSION, ffmpeg, runtime);
    }
    return true;
}

const struct command command_worker_version = {
    .name = "version",
    .summary = "print the version, FFmpeg's and ONNX Runtime's",
    .help = "Example:\n  mela-worker version --json\n",
    .run = worker_version_run,
};
