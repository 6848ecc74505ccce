/* check: is this machine fit for work? A node that is not can be cordoned, so that Kubernetes puts no pod on it. */
#include <string.h>

#include "base/clock.h"
#include "base/emf.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/worker/commands.h"
#include "worker/check.h"
#include "worker/kubernetes.h"

enum { CORDONED_MAX = 2 };

/* The message of the first check that failed. Borrowed from the report. */
static const char *reason_of(const json_t *report) {
    size_t i;
    json_t *check;
    json_array_foreach (json_object_get(report, "checks"), i, check)
        if (!json_get_bool(check, "ok", true))
            return json_get_string(check, "message", "");
    return "";
}

/* The pod must go: while it stays, it counts as one of the farm's workers though it does nothing. */
static bool leave_node(struct kubernetes *kubernetes) {
    struct error why;
    bool left = kubernetes_delete_pod(kubernetes, &why);
    if (!left)
        log_write(NULL, LOG_ERROR, "the pod stays on the cordoned node: %s", why.message);
    return left;
}

/* Cordons the node, and notes in the report whether it could. A refusal of the cluster is only logged: the node stays
 * unfit either way. */
static bool check_cordon(struct cli *cli, json_t *report, struct error *err) {
    int64_t most;
    if (!cli_integer(cli, "cordon-most", CORDONED_MAX, 1, 10000, &most, err))
        return false;
    _cleanup_kubernetes_ struct kubernetes *kubernetes = kubernetes_open();
    struct error why;
    bool done = false;
    if (!kubernetes)
        log_write(NULL, LOG_WARN, "not in a cluster: no node is cordoned");
    else if (!kubernetes_cordon(kubernetes, reason_of(report), (int)most, &done, &why))
        log_write(NULL, LOG_ERROR, "the node is not cordoned: %s", why.message);
    else if (!done)
        log_write(NULL, LOG_ERROR,
                  "the node is not cordoned, because %d others are already: look for a cause that they share",
                  (int)most);
    json_object_set_new(report, "cordoned", json_boolean(done));
    json_object_set_new(report, "pod_deleted", json_boolean(done && leave_node(kubernetes)));
    return true;
}

static void check_print_fence(const json_t *fence) {
    size_t i;
    json_t *part;
    const json_t *missing = json_object_get(fence, "missing");
    printf("%-10s %-6s", "fence", json_array_size(missing) ? "partly" : "ok");
    json_array_foreach (missing, i, part)
        printf("%s %s", i ? "," : " missing:", json_string_value(part));
    printf("\n");
}

static void check_print_text(const json_t *report) {
    size_t i;
    json_t *check;
    printf("%s %s%s%s\n", json_get_string(report, "device", ""), json_get_string(report, "name", ""),
           json_object_get(report, "driver") ? ", driver " : "", json_get_string(report, "driver", ""));
    json_array_foreach (json_object_get(report, "checks"), i, check)
        printf("%-10s %-6s %s\n", json_get_string(check, "name", ""),
               json_get_bool(check, "ok", false) ? "ok" : "FAILED", json_get_string(check, "message", ""));
    check_print_fence(json_object_get(report, "fence"));
}

/* The verdict as a record of CloudWatch's embedded metric format. New reference. */
static json_t *check_verdict(const struct config *config, const json_t *report) {
    json_t *record = emf_record(config_get(config, "emf"), clock_wall_ms(clock_system()));
    emf_add_dimension(record, "Farm", config_get(config, "farm"));
    emf_add_metric(record, "GpuCheckFailed", "Count", json_integer(!json_get_bool(report, "healthy", false)));
    return record;
}

/* CloudWatch wants its record on one line. With --json the report is put into that record, which may have other
 * members, so that stdout is one JSON document. */
static void check_print(const struct cli *cli, const struct config *config, json_t *report) {
    bool told = config_get(config, "emf");
    _cleanup_json_ json_t *record = told ? check_verdict(config, report) : NULL;
    if (cli_json(cli) && !told) {
        cli_print_json(report);
        return;
    }
    if (cli_json(cli))
        json_object_update(record, report);
    else
        check_print_text(report);
    _cleanup_free_ char *line = told ? json_line(record) : NULL;
    if (line)
        printf("%s\n", line);
}

static bool check_run(struct cli *cli, struct error *err) {
    const struct config *config = cli_config(cli, err);
    struct check_options options;
    if (!config || (config_get(config, "emf") && !emf_check_namespace(config_get(config, "emf"), err)) ||
        !check_device(config_get(config, "device"), &options.device, err) ||
        !cli_integer(cli, "memory-mb", 0, 0, 1 << 30, &options.memory_mb, err))
        return false;
    _cleanup_free_ char *models = cli_models_directory(cli, err);
    _cleanup_free_ char *manifests = models ? cli_manifests_directory(cli, err) : NULL;
    options.models = models;
    options.manifests = manifests;
    _cleanup_json_ json_t *report = manifests ? check_machine(&options, err) : NULL;
    if (!report)
        return false;
    bool healthy = json_get_bool(report, "healthy", false);
    if (!healthy && cli_flag(cli, "cordon") && !check_cordon(cli, report, err))
        return false;
    if (!healthy)
        cli_set_status(cli, STATUS_FAILED);
    check_print(cli, config, report);
    return true;
}

static const struct cli_option options[] = {
    {"memory-mb", "N", "least free memory of the device; default: not checked"},
    {"cordon", NULL, "when something is wrong, cordon this Kubernetes node (NODE_NAME) and delete this pod"},
    {"emf", "NAMESPACE", "print the verdict as CloudWatch's embedded metric too; with --json both are one line"},
    {"cordon-most", "N", "cordon no node when N others of the cluster are cordoned already, default 2"},
    {0},
};

const struct command command_check = {
    .name = "check",
    .summary = "is this machine's card fit for work?",
    .help = "For an init container: checks the driver, the card, its memory and its count of errors, and runs a "
            "network on it whose result must be that of the CPU. Exit status 0 when all is well and 1 when the machine "
            "is at fault; a missing model or a wrong option has another one, and never cordons. When there should be a "
            "card (/dev/nvidia0 or NVIDIA_VISIBLE_DEVICES says so), it must work.\n\nExamples:\n"
            "  mela-worker check --json\n  mela-worker check --device cuda:0 --memory-mb 6000 --cordon",
    .options = options,
    .run = check_run,
};
