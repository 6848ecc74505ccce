/* mela: the control plane and the command line. */
#include "base/process.h"
#include "cli/commands.h"
#include "store/http.h"

static const struct command *const commands[] = {&command_up,
                                                 &command_serve,
                                                 &command_submit,
                                                 &command_imagine,
                                                 &command_watch,
                                                 &command_list,
                                                 &command_show,
                                                 &command_recover,
                                                 &command_queue,
                                                 &command_get,
                                                 &command_cancel,
                                                 &command_retry,
                                                 &command_dead,
                                                 &command_trace,
                                                 &command_workers,
                                                 &command_models,
                                                 &command_scale_desired,
                                                 &command_scale_hold,
                                                 &command_scale_resume,
                                                 &command_simulate,
                                                 &command_doctor,
                                                 &command_health,
                                                 &command_keys_add,
                                                 &command_keys_revoke,
                                                 &command_config,
                                                 &command_version,
                                                 &command_completion,
                                                 NULL};

static const struct cli_option common[] = {
    {"address", "URL", "where the farm's API answers"},
    {"key-file", "FILE", "file with the API key"},
    {"data", "DIR", "data directory of a farm on this machine; default ~/.local/share/mela"},
    {"config", "FILE", "settings file; default farm.json in the working directory"},
    {0},
};

int main(int argc, char **argv) {
    process_begin();
    process_share_memory();
    http_process_begin();
    const struct program mela = {"mela", "dubs video and makes pictures on a farm of workers", commands, common};
    return cli_main(&mela, argc, argv);
}
