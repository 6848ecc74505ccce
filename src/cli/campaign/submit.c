#include <libgen.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/campaign/watch.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "farm/campaign.h"

enum { SPEC_FILE_MAX = 4 << 20 };

/* ---- the spec ---- */

static bool spec_add_dubs(const struct cli *cli, json_t *spec, struct error *err) {
    json_t *dubs = json_array();
    json_object_set_new(spec, "dubs", dubs);
    const char *dub;
    for (int i = 0; (dub = cli_nth_value(cli, "dub", i)); i++) {
        const char *equals = strchr(dub, '=');
        if (!equals || equals == dub || !equals[1])
            return error_set(err, ERR_USAGE, "--dub is \"%s\", not LANGUAGE=FILE such as hi=hi.wav", dub);
        json_array_append_new(dubs,
                              json_pack("{s:s%,s:s}", "language", dub, (size_t)(equals - dub), "audio", equals + 1));
    }
    return true;
}

/* --speaker in the spec's form: "largest", {"point":[X,Y]} or {"box":[X,Y,WIDTH,HEIGHT]}. */
static bool add_speaker(const struct cli *cli, json_t *options, struct error *err) {
    const char *text = cli_value(cli, "speaker");
    double n[4];
    int end = -1;
    if (!text)
        return true;
    if (strcmp(text, "largest") == 0)
        return json_object_set_new(options, "speaker", json_string(text)) == 0;
    if (sscanf(text, "%lf,%lf,%lf,%lf%n", &n[0], &n[1], &n[2], &n[3], &end) == 4 && end == (int)strlen(text))
        return json_object_set_new(options, "speaker", json_pack("{s:[f,f,f,f]}", "box", n[0], n[1], n[2], n[3])) == 0;
    if (sscanf(text, "%lf,%lf%n", &n[0], &n[1], &end) == 2 && end == (int)strlen(text))
        return json_object_set_new(options, "speaker", json_pack("{s:[f,f]}", "point", n[0], n[1])) == 0;
    return error_set(err, ERR_USAGE,
                     "--speaker is \"%s\", not largest, X,Y or X,Y,WIDTH,HEIGHT (fractions of the picture)", text);
}

static bool spec_add_options(const struct cli *cli, json_t *spec, struct error *err) {
    json_t *options = json_object();
    json_object_set_new(spec, "options", options);
    static const char *const texts[] = {"lips", "sync"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        if (cli_value(cli, texts[i]))
            json_object_set_new(options, texts[i], json_string(cli_value(cli, texts[i])));
    if (cli_flag(cli, "enhance"))
        json_object_set_new(options, "enhance", json_true());
    double seconds;
    int64_t quality;
    if (!cli_number(cli, "segment-seconds", 10, 1, 60, &seconds, err) ||
        !cli_integer(cli, "quality", 18, 0, 51, &quality, err))
        return false;
    if (cli_value(cli, "segment-seconds"))
        json_object_set_new(options, "segment_seconds", json_real(seconds));
    if (cli_value(cli, "quality"))
        json_object_set_new(options, "quality", json_integer(quality));
    return add_speaker(cli, options, err);
}

/* --name, else the video's file name without its ending. Caller frees. */
static char *name_of(const struct cli *cli, const char *video) {
    if (cli_value(cli, "name"))
        return xstrdup(cli_value(cli, "name"));
    _cleanup_free_ char *copy = xstrdup(video);
    char *base = basename(copy), *dot = strrchr(base, '.');
    return xstrndup(base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
}

static json_t *spec_from_options(const struct cli *cli, struct error *err) {
    const char *video = cli_value(cli, "video"), *class = cli_value(cli, "class"),
               *deadline = cli_value(cli, "deadline");
    if (!video || !cli_value(cli, "dub")) {
        error_set(err, ERR_USAGE, "give a spec file, or --video FILE and at least one --dub LANGUAGE=FILE");
        return NULL;
    }
    _cleanup_free_ char *name = name_of(cli, video);
    _cleanup_json_ json_t *spec = json_pack("{s:s,s:s}", "name", name, "video", video);
    if (class)
        json_object_set_new(spec, "class", json_string(class));
    if (deadline)
        json_object_set_new(spec, "deadline", json_string(deadline));
    return spec_add_dubs(cli, spec, err) && spec_add_options(cli, spec, err) ? steal(spec) : NULL;
}

static json_t *spec_from_file(const struct cli *cli, struct error *err) {
    static const char *const described[] = {"video",           "dub",     "name",   "class",
                                            "deadline",        "lips",    "sync",   "enhance",
                                            "segment-seconds", "quality", "speaker"};
    for (size_t i = 0; i < ARRAY_LENGTH(described); i++)
        if (cli_flag(cli, described[i])) {
            error_set(err, ERR_USAGE, "--%s cannot be given with a spec file; write it into the spec", described[i]);
            return NULL;
        }
    _cleanup_buffer_ struct buffer text = {0};
    const char *path = cli_argument(cli, 0);
    if (!file_read(path, SPEC_FILE_MAX, &text, err))
        return NULL;
    json_t *spec = json_parse(text.data, text.length, err);
    if (!spec)
        error_wrap(err, "%s", path);
    return spec;
}

/* ---- local files ---- */

static bool submit_upload(struct client *client, const char *file, char uri[8 + SHA256_HEX], struct error *err) {
    char hex[SHA256_HEX + 1];
    bool exists;
    if (!sha256_file(file, hex, NULL, err))
        return false;
    snprintf(uri, 8 + SHA256_HEX, "sha256:%s", hex);
    _cleanup_free_ char *path = xasprintf("/v1/files/%s", hex);
    if (!client_exists(client, path, &exists, err))
        return false;
    if (exists)
        return true;
    _cleanup_(terminal_moved_end) struct transfer_line line = {.label = file};
    const struct client_progress progress = {terminal_moved, terminal_waits, &line};
    return client_upload(client, path, file, &progress, err);
}

/* Uploads the local file that a member names, and replaces the name by the URI of the upload. A relative path starts at
 * `folder`. A URI stays as it is; so does what is no text at all, since the API reports all mistakes of a spec at once.
 */
static bool submit_upload_member(struct client *client, json_t *object, const char *member, const char *folder,
                                 struct error *err) {
    const char *value = json_get_string(object, member, NULL);
    if (!value || !value[0] || strstr(value, "://") || strncmp(value, "sha256:", 7) == 0)
        return true;
    char uri[8 + SHA256_HEX];
    _cleanup_free_ char *path = value[0] == '/' ? xstrdup(value) : xasprintf("%s/%s", folder, value);
    return submit_upload(client, path, uri, err) && json_object_set_new(object, member, json_string(uri)) == 0;
}

static bool submit_upload_files(struct client *client, json_t *spec, const char *folder, struct error *err) {
    if (!submit_upload_member(client, spec, "video", folder, err))
        return false;
    size_t i;
    json_t *dub;
    json_array_foreach (json_object_get(spec, "dubs"), i, dub)
        if (!submit_upload_member(client, dub, "audio", folder, err))
            return false;
    return true;
}

static bool submit_run(struct cli *cli, struct error *err) {
    const char *file = cli_argument(cli, 0);
    _cleanup_json_ json_t *spec = file ? spec_from_file(cli, err) : spec_from_options(cli, err);
    _cleanup_client_ struct client *client = spec ? client_open(cli, err) : NULL;
    _cleanup_free_ char *copy = xstrdup(file ? file : "./-");
    if (!client || !submit_upload_files(client, spec, dirname(copy), err))
        return false;
    _cleanup_json_ json_t *campaign =
        client_request(client, "POST", "/v1/campaigns", spec, cli_value(cli, "idempotency-key"), err);
    if (!campaign)
        return false;
    const char *id = json_get_string(campaign, "id", "");
    bool watch = cli_flag(cli, "watch");
    if (cli_json(cli) && watch) { /* one JSON value a line, the events follow */
        _cleanup_free_ char *line = json_line(campaign);
        printf("%s\n", line);
    } else if (cli_json(cli)) {
        cli_print_json(campaign);
    } else {
        printf("%s\n", id);
    }
    fflush(stdout);
    return !watch || watch_campaign(cli, id, err);
}

const struct command command_submit = {
    .name = "submit",
    .arguments = "[SPEC.json]",
    .max_arguments = 1,
    .summary = "submit a campaign: one video, any number of languages",
    .help =
        "Prints the campaign's id. Local files are uploaded first, each only once; s3:// and sha256: URIs are passed "
        "on. A spec file has the form that docs/api.md describes; relative paths in it start at its own folder.\n\n"
        "Examples:\n  mela submit --video talk.mp4 --dub hi=hi.wav --dub ta=ta.wav --watch\n"
        "  mela submit --video s3://in/talk.mp4 --dub hi=s3://in/hi.wav --class urgent\n"
        "  mela submit diwali.json\n",
    .options =
        (const struct cli_option[]){
            {"video", "FILE|URI", "the master video"},
            {"dub", "LANG=FILE|URI", "a language and its speech; may be repeated"},
            {"name", "NAME", "the campaign's name; default: the video's"},
            {"class", "CLASS", "urgent or batch, default batch"},
            {"deadline", "TIME", "when it should be done, such as 2026-11-08T18:00:00+05:30"},
            {"lips", "MODEL", "lips model, default " CAMPAIGN_LIPS},
            {"enhance", NULL, "sharpen the face as well"},
            {"sync", "MODE", "when speech and video differ in length: cut_off (default), loop, bounce or silence"},
            {"segment-seconds", "S", "length of the pieces that are dubbed in parallel, 1 to 60, default 10"},
            {"speaker", "WHO",
             "whose lips: largest (default, the largest face), X,Y or X,Y,WIDTH,HEIGHT in fractions of the picture"},
            {"quality", "CRF", "x264 quality, 0 (lossless) to 51, default 18"},
            {"idempotency-key", "KEY", "submitting twice with the same key makes one campaign"},
            {"watch", NULL, "follow the campaign to its end"},
            {0},
        },
    .run = submit_run,
};
