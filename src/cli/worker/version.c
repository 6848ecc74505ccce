#include <libavutil/avutil.h>
#include <onnxruntime_c_api.h>

#include "base/json.h"
#include "cli/worker/commands.h"

static bool run(struct cli *cli, struct error *err) {
    const char *runtime = OrtGetApiBase()->GetVersionString();
    if (cli_json(cli)) {
        _cleanup_json_ json_t *version =
            json_pack("{s:s,s:s,s:s,s:s}", "program", "mela-worker", "version", MELA_VERSION, "ffmpeg",
                      av_version_info(), "onnxruntime", runtime);
        cli_print_json(version);
    } else {
        printf("mela-worker %s, FFmpeg %s, ONNX Runtime %s\n", MELA_VERSION, av_version_info(), runtime);
    }
    return true;
}

const struct command command_worker_version = {
    .name = "version",
    .summary = "print the version, FFmpeg's and ONNX Runtime's",
    .help = "Example:\n  mela-worker version --json\n",
    .run = run,
};
