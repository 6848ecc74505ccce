/* mela-worker: the data plane. */
#include "base/process.h"
#include "cli/worker/commands.h"
#include "media/media.h"
#include "model/model.h"
#include "store/http.h"

static const struct command *const commands[] = {&command_run,          &command_executor,
                                                 &command_check_sync,   &command_check_fence,
                                                 &command_check,        &command_models_list,
                                                 &command_models_check, &command_models_add,
                                                 &command_models_pull,  &command_models_push,
                                                 &command_health,       &command_worker_version,
                                                 &command_completion,   NULL};

static const struct cli_option common[] = {
    {"models", "DIR", "folder with model weights"},
    {"manifests", "DIR", "folder with the model manifests that mela ships"},
    {"device", "D", "auto, cpu or cuda:N"},
    {"redis", "URL", "Redis of the farm"},
    {"farm", "NAME", "namespace of the farm in Redis, default mela"},
    {"store", "URL", "object store: s3://bucket/prefix or file:///folder"},
    {"s3-endpoint", "URL", "S3 server other than AWS, such as http://minio:9000"},
    {"data", "DIR", "folder for this worker's files when --work is not given"},
    {"config", "FILE", "settings file; default farm.json in the working directory"},
    {0},
};

int main(int argc, char **argv) {
    process_begin();
    process_keep_memory();
    http_process_begin();
    media_process_begin();
    model_process_begin();
    const struct program worker = {"mela-worker", "does a farm's jobs", commands, common};
    return cli_main(&worker, argc, argv);
}
