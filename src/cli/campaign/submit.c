#include <libgen.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/campaign/submit.h"
#include "cli/campaign/watch.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "farm/campaign.h"

enum { SPEC_FILE_MAX = 64 << 20 };

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

/* The URI of a file's bytes, as `files` knows it or by hashing it; NULL with io. Borrowed from `files`. */
static const char *submit_uri(const char *path, json_t *files, struct error *err) {
    char hex[SHA256_HEX + 1];
    if (json_object_get(files, path))
        return json_get_string(files, path, NULL);
    if (!sha256_file(path, hex, NULL, err))
        return NULL;
    _cleanup_free_ char *uri = xasprintf("sha256:%s", hex);
    json_object_set_new(files, path, json_string(uri));
    return json_get_string(files, path, NULL);
}

static bool submit_name_file(json_t *object, const char *member, const char *folder, json_t *files, struct error *err) {
    const char *value = json_get_string(object, member, NULL);
    if (!value || !value[0] || strstr(value, "://") || strncmp(value, "sha256:", 7) == 0)
        return true;
    bool as_is = value[0] == '/' || strcmp(folder, ".") == 0;
    _cleanup_free_ char *path = as_is ? xstrdup(value) : xasprintf("%s/%s", folder, value);
    const char *uri = submit_uri(path, files, err);
    return uri && json_object_set_new(object, member, json_string(uri)) == 0;
}

/* That member of each object of a list. */
static bool submit_name_each(const json_t *list, const char *member, const char *folder, json_t *files,
                             struct error *err) {
    size_t i;
    json_t *object;
    json_array_foreach (list, i, object)
        if (!submit_name_file(object, member, folder, files, err))
            return false;
    return true;
}

bool submit_name_files(json_t *spec, const char *folder, json_t *files, struct error *err) {
    const json_t *images = json_object_get(spec, "images"), *defaults = json_object_get(images, "defaults");
    size_t i;
    json_t *prompt;
    if (!submit_name_file(spec, "video", folder, files, err) ||
        !submit_name_each(json_object_get(spec, "dubs"), "audio", folder, files, err) ||
        !submit_name_each(json_object_get(defaults, "loras"), "file", folder, files, err))
        return false;
    json_array_foreach (json_object_get(images, "prompts"), i, prompt)
        if (!submit_name_each(json_object_get(prompt, "loras"), "file", folder, files, err))
            return false;
    return true;
}

bool submit_upload_files(struct client *client, const json_t *files, struct error *err) {
    const char *file;
    json_t *uri;
    json_object_foreach ((json_t *)(uintptr_t)files, file, uri) {
        bool exists;
        _cleanup_free_ char *path = xasprintf("/v1/files/%s", json_string_value(uri) + strlen("sha256:"));
        _cleanup_(terminal_moved_end) struct transfer_line line = {.label = file};
        const struct client_progress progress = {terminal_moved, terminal_waits, &line};
        if (!client_exists(client, path, &exists, err) ||
            (!exists && !client_upload(client, path, file, &progress, err)))
            return false;
    }
    return true;
}

json_t *submit_post(struct cli *cli, struct client *client, const json_t *spec, bool follows, struct error *err) {
    json_t *answer = client_request(client, "POST", "/v1/campaigns", spec, cli_value(cli, "idempotency-key"), err);
    if (!answer)
        return NULL;
    if (cli_json(cli) && follows) { /* one JSON value a line, the events follow */
        _cleanup_free_ char *line = json_line(answer);
        printf("%s\n", line);
    } else if (cli_json(cli)) {
        cli_print_json(answer);
    } else {
        printf("%s\n", json_get_string(answer, "id", ""));
    }
    fflush(stdout);
    return answer;
}

void submit_print_warnings(const struct cli *cli, const json_t *warnings) {
    size_t i;
    json_t *warning;
    if (cli_json(cli))
        return;
    json_array_foreach (warnings, i, warning)
        fprintf(stderr, "mela: warning: %s %s\n", json_get_string(warning, "path", ""),
                json_get_string(warning, "message", ""));
}

static bool submit_run(struct cli *cli, struct error *err) {
    const char *file = cli_argument(cli, 0);
    bool watch = cli_flag(cli, "watch");
    _cleanup_json_ json_t *spec = file ? spec_from_file(cli, err) : spec_from_options(cli, err), *files = json_object();
    _cleanup_client_ struct client *client = spec ? client_open(cli, err) : NULL;
    _cleanup_free_ char *copy = xstrdup(file ? file : "./-");
    if (!client || !submit_name_files(spec, dirname(copy), files, err) || !submit_upload_files(client, files, err))
        return false;
    _cleanup_json_ json_t *answer = submit_post(cli, client, spec, watch, err);
    if (!answer)
        return false;
    submit_print_warnings(cli, json_object_get(answer, "warnings"));
    return !watch || watch_campaign(cli, json_get_string(answer, "id", ""), err);
}

const struct command command_submit = {
    .name = "submit",
    .arguments = "[SPEC.json]",
    .max_arguments = 1,
    .summary = "submit a campaign: a video in any number of languages, or a spec",
    .help =
        "Prints the campaign's id. Local files are uploaded first, each only once; s3:// and sha256: URIs are passed "
        "on. A spec file has the form that docs/api.md describes, of dubs or of pictures; relative paths in it start "
        "at "
        "its own folder. mela imagine submits pictures without one.\n\n"
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
