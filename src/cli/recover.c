#include "recover/recover.h"

#include <string.h>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/farm.h"

static void print_campaign(const json_t *campaign, bool dry_run) {
    const char *state = json_get_string(campaign, "state", ""), *error = json_get_string(campaign, "error", NULL);
    printf("%-10s %s", error ? "error" : state, json_get_string(campaign, "id", ""));
    if (error)
        printf("  %s", error);
    else if (strcmp(state, "old") == 0)
        printf("  left alone: older than Redis keeps campaigns; --campaign brings it back");
    else if (strcmp(state, "running") == 0 || json_get_integer(campaign, "restored", 0) > 0)
        printf("  %lld jobs kept, %lld of them %s, %lld to do", (long long)json_get_integer(campaign, "kept", 0),
               (long long)json_get_integer(campaign, "restored", 0), dry_run ? "to be restored" : "restored",
               (long long)json_get_integer(campaign, "queued", 0));
    putchar('\n');
    fflush(stdout);
}

/* A campaign that cannot be restored does not keep the others from it; a farm that does not answer does. */
static json_t *recover_one(struct cli *cli, struct queue *queue, struct store *store, const char *id, bool named,
                           struct error *err) {
    json_t *campaign = recover_campaign(queue, store, id, named, cli_flag(cli, "dry-run"), err);
    if (campaign || named || exit_status_of(err->code) == STATUS_UNREACHABLE)
        return campaign;
    cli_set_status(cli, STATUS_FAILED);
    return json_pack("{s:s, s:s, s:s}", "id", id, "error", err->message, "code", error_name(err->code));
}

static bool run(struct cli *cli, struct error *err) {
    const char *one = cli_value(cli, "campaign");
    _cleanup_store_ struct store *store = farm_open_store(cli, err);
    _cleanup_queue_ struct queue *queue = store ? farm_open_queue(cli, err) : NULL;
    _cleanup_json_ json_t *ids = !queue ? NULL : one ? json_pack("[s]", one) : recover_list(store, err);
    _cleanup_json_ json_t *campaigns = json_array();
    size_t i;
    json_t *id;
    if (!ids)
        return false;
    json_array_foreach (ids, i, id) {
        json_t *campaign = recover_one(cli, queue, store, json_string_value(id), one != NULL, err);
        if (!campaign)
            return false;
        json_array_append_new(campaigns, campaign);
        if (!cli_json(cli))
            print_campaign(campaign, cli_flag(cli, "dry-run"));
    }
    if (cli_json(cli))
        cli_print_json(campaigns);
    return true;
}

const struct command command_recover = {
    .name = "recover",
    .summary = "bring campaigns back from the store when Redis lost them",
    .help =
        "Reads specs, plans and receipts from the store and puts back what Redis does not know: finished jobs as "
        "finished, the others into the queue. Campaigns that Redis has cancelled, failed or finished stay so. It may "
        "run while the farm works, and twice. Campaigns submitted more than seven days ago that Redis does not know "
        "have expired; name one to bring it back all the same.\n\n"
        "Examples:\n  mela recover --dry-run\n  mela recover\n  mela recover --campaign diwali-2026-3f9a1c0b2d\n",
    .options =
        (const struct cli_option[]){
            {"campaign", "ID", "only this one, however old"},
            {"dry-run", NULL, "say what would be done, and do nothing"},
            FARM_OPTIONS,
            {0},
        },
    .run = run,
};
