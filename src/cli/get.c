#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/terminal.h"

/* What the join published: its key names the attempt, so a part of another attempt's video is never
 * continued. NULL when the language has no video yet. */
static char *part_name(struct client *client, const char *id, const char *language, const char *folder,
                       struct error *err) {
    _cleanup_free_ char *path = xasprintf("/v1/jobs/%s/%s/join", id, language);
    _cleanup_json_ json_t *job = client_get(client, path, err);
    const char *artifact = json_get_string(job, "artifact", NULL);
    if (artifact)
        return xasprintf("%s/.%s-%s-%s.part", folder, id, language, strrchr(artifact, '/') + 1);
    if (job || err->code == ERR_QUEUE_NOT_FOUND)
        error_set(err, ERR_API_NOT_FOUND, "%s has no video in %s yet (its join is %s)", id, language,
                  json_get_string(job, "state", "not planned"));
    return NULL;
}

static bool get_language(struct client *client, const char *id, const char *language, const char *folder, json_t *files,
                         struct error *err) {
    _cleanup_free_ char *part = part_name(client, id, language, folder, err);
    if (!part)
        return false;
    _cleanup_free_ char *file = xasprintf("%s/%s-%s.mp4", folder, id, language);
    _cleanup_free_ char *path = xasprintf("/v1/campaigns/%s/files/%s/final.mp4", id, language);
    _cleanup_(terminal_moved_end) struct transfer_line line = {.label = file};
    if (!client_download(client, path, part, file, terminal_moved, &line, err))
        return false;
    json_array_append_new(files, json_pack("{s:s,s:s}", "language", language, "file", file));
    return true;
}

/* The languages that are done. */
static bool get_all(struct client *client, const char *id, const char *folder, json_t *files, struct error *err) {
    _cleanup_free_ char *path = xasprintf("/v1/campaigns/%s", id);
    _cleanup_json_ json_t *campaign = client_get(client, path, err);
    if (!campaign)
        return false;
    size_t i;
    json_t *language;
    json_array_foreach (json_object_get(campaign, "languages"), i, language)
        if (strcmp(json_get_string(language, "state", ""), "done") == 0 &&
            !get_language(client, id, json_get_string(language, "language", ""), folder, files, err))
            return false;
    return json_array_size(files) ||
           error_set(err, ERR_API_NOT_FOUND, "no language of %s is done yet; mela watch %s waits for them", id, id);
}

static bool run(struct cli *cli, struct error *err) {
    const char *language = cli_value(cli, "language");
    const char *folder = cli_value(cli, "output") ? cli_value(cli, "output") : ".";
    _cleanup_free_ char *id = client_escape(cli_argument(cli, 0), false);
    _cleanup_free_ char *escaped = language ? client_escape(language, false) : NULL;
    _cleanup_json_ json_t *files = json_array();
    _cleanup_client_ struct client *client = directory_make(folder, err) ? client_open(cli, err) : NULL;
    if (!client ||
        !(escaped ? get_language(client, id, escaped, folder, files, err) : get_all(client, id, folder, files, err)))
        return false;
    size_t i;
    json_t *file;
    if (cli_json(cli))
        cli_print_json(files);
    else
        json_array_foreach (files, i, file)
            printf("%s\n", json_get_string(file, "file", ""));
    return true;
}

const struct command command_get = {
    .name = "get",
    .arguments = "ID",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "fetch the dubbed videos",
    .help = "Fetches every language that is done, or one, as ID-LANGUAGE.mp4, and prints the paths. A file "
            "appears whole or "
            "not at all; an interrupted fetch is continued.\n\n"
            "Examples:\n  mela get diwali-2026-3f9a1c0b2d --output dubs\n  mela get diwali-2026-3f9a1c0b2d "
            "--language hi\n",
    .options = (const struct cli_option[]){{"language", "LANG", "only this one"},
                                           {"output", "DIR", "where to; made when missing; default: here", 'o'},
                                           {0}},
    .run = run,
};
