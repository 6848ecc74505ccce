#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/terminal.h"

static void show_print_time(const char *label, const json_t *object, const char *member) {
    char text[32];
    int64_t time = json_get_integer(object, member, 0);
    if (time == 0)
        return;
    clock_format_iso(time, text);
    printf("%-10s %s\n", label, text);
}

static void show_print_error(const json_t *owner, const char *indent) {
    const json_t *error = json_object_get(owner, "error");
    if (json_is_object(error))
        printf("%s%s [%s]\n", indent, json_get_string(error, "message", ""), json_get_string(error, "code", ""));
}

static void show_print_held(const json_t *campaign) {
    _cleanup_buffer_ struct buffer text = {0};
    int64_t until_ms = json_get_integer(campaign, "held_until_ms", 0);
    if (!until_ms)
        return;
    terminal_held(&text, until_ms);
    printf("%-10s %s is %s; what runs finishes (mela scale resume lets it begin)\n", "waits",
           json_get_string(campaign, "class", ""), text.data);
}

static void show_print_campaign(const json_t *campaign) {
    printf("%-10s %s\n%-10s %s\n%-10s %s\n%-10s %s\n", "campaign", json_get_string(campaign, "id", ""), "name",
           json_get_string(campaign, "name", ""), "class", json_get_string(campaign, "class", ""), "state",
           json_get_string(campaign, "state", ""));
    show_print_time("submitted", campaign, "submitted_ms");
    show_print_time("deadline", campaign, "deadline_ms");
    show_print_time("finished", campaign, "finished_ms");
    show_print_held(campaign);
    printf("%-10s", "jobs");
    const char *state;
    json_t *value;
    json_object_foreach (json_object_get(campaign, "jobs"), state, value)
        if (json_integer_value(value))
            printf(" %lld %s", json_integer_value(value), state);
    printf("\n");
    const json_t *pictures = json_object_get(campaign, "pictures");
    if (pictures)
        printf("%-10s %lld of %lld\n", "pictures", (long long)json_get_integer(pictures, "done", 0),
               (long long)json_get_integer(pictures, "of", 0));
    size_t i;
    json_array_foreach (json_object_get(campaign, "languages"), i, value) {
        printf("  %-8s %s\n", json_get_string(value, "language", ""), json_get_string(value, "state", ""));
        show_print_error(value, "           ");
    }
}

static void show_print_jobs(const json_t *jobs) {
    size_t i;
    json_t *job;
    json_array_foreach (jobs, i, job) {
        printf("%-9s attempt %-2lld  %s  %s\n", json_get_string(job, "state", ""),
               (long long)json_get_integer(job, "attempt", 0), json_get_string(job, "id", ""),
               json_get_string(job, "worker", ""));
        show_print_error(job, "          ");
    }
}

/* Fetches the job, the campaign, or with --jobs the campaign's jobs. New reference. */
static json_t *show_fetch(struct cli *cli, struct client *client, bool is_job, struct error *err) {
    _cleanup_free_ char *id = client_escape(cli_argument(cli, 0), true);
    _cleanup_free_ char *path = xasprintf(is_job                  ? "/v1/jobs/%s"
                                          : cli_flag(cli, "jobs") ? "/v1/campaigns/%s/jobs"
                                                                  : "/v1/campaigns/%s",
                                          id);
    return cli_flag(cli, "jobs") && !is_job ? client_get_list(client, path, 0, err) : client_get(client, path, err);
}

static bool show_run(struct cli *cli, struct error *err) {
    bool is_job = strchr(cli_argument(cli, 0), '/') != NULL;
    _cleanup_client_ struct client *client = client_open(cli, err);
    _cleanup_json_ json_t *found = client ? show_fetch(cli, client, is_job, err) : NULL;
    if (!found)
        return false;
    if (cli_json(cli) || is_job)
        cli_print_json(found);
    else if (cli_flag(cli, "jobs"))
        show_print_jobs(found);
    else
        show_print_campaign(found);
    return true;
}

const struct command command_show = {
    .name = "show",
    .arguments = "ID",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "show a campaign, its jobs, or one job",
    .help = "Examples:\n  mela show diwali-2026-3f9a1c0b2d\n  mela show diwali-2026-3f9a1c0b2d --jobs\n"
            "  mela show diwali-2026-3f9a1c0b2d/hi/dub/0003\n",
    .options = (const struct cli_option[]){{"jobs", NULL, "list the campaign's jobs"}, {0}},
    .run = show_run,
};
