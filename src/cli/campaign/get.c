#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/campaign/pictures.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/terminal.h"

/* One language's video. */
struct video {
    char *path;   /* of the API */
    char *name;   /* stands for the bytes: a part of another attempt's video must never be continued */
    char *sha256; /* NULL: not known */
};

static void video_free(struct video *video) {
    free(video->path);
    free(video->name);
    free(video->sha256);
}

/* api.not_found when the language has no video yet. Redis forgets the job some days after its end, but the API goes on
 * serving the video: then its ETag stands for the bytes. */
static bool video_find(struct client *client, const char *id, const char *language, struct video *video,
                       struct error *err) {
    _cleanup_free_ char *path = xasprintf("/v1/jobs/%s/%s/join", id, language);
    _cleanup_json_ json_t *job = client_get(client, path, err);
    const char *artifact = json_get_string(job, "artifact", NULL), *slash = artifact ? strrchr(artifact, '/') : NULL;
    video->path = xasprintf("/v1/campaigns/%s/files/%s/final.mp4", id, language);
    if (slash) {
        video->name = xstrdup(slash + 1);
        video->sha256 = xstrdup(json_get_string(json_object_get(job, "report"), "sha256", NULL));
        return true;
    }
    if (!job && err->code != ERR_QUEUE_NOT_FOUND)
        return false;
    if (!job && ((video->name = client_etag(client, video->path, err)) || err->code != ERR_API_NOT_FOUND))
        return video->name != NULL;
    return error_set(err, ERR_API_NOT_FOUND, "%s has no video in %s yet (its join is %s)", id, language,
                     json_get_string(job, "state", "not planned"));
}

static bool get_language(struct client *client, const char *id, const char *language, const char *folder, json_t *files,
                         struct error *err) {
    _cleanup_(video_free) struct video video = {0};
    if (!video_find(client, id, language, &video, err))
        return false;
    if (!directory_make(folder, err))
        return false;
    _cleanup_free_ char *file = xasprintf("%s/%s-%s.mp4", folder, id, language);
    _cleanup_free_ char *part = xasprintf("%s/.%s-%s-%s.part", folder, id, language, video.name);
    _cleanup_(terminal_moved_end) struct transfer_line line = {.label = file};
    const struct client_progress progress = {terminal_moved, terminal_waits, &line};
    const struct client_download download = {
        .path = video.path, .file = file, .part = part, .sha256 = video.sha256, .progress = &progress};
    if (!client_download(client, &download, err))
        return false;
    json_array_append_new(files, json_pack("{s:s,s:s}", "language", language, "file", file));
    return true;
}

/* Of a campaign that Redis has forgotten: those whose video is in the store. */
static bool get_forgotten(struct client *client, const char *id, const json_t *spec, const char *folder, json_t *files,
                          struct error *err) {
    size_t i;
    json_t *dub;
    json_array_foreach (json_object_get(spec, "dubs"), i, dub) {
        bool exists;
        const char *language = json_get_string(dub, "language", "");
        _cleanup_free_ char *video = xasprintf("/v1/campaigns/%s/files/%s/final.mp4", id, language);
        if (!client_exists(client, video, &exists, err) ||
            (exists && !get_language(client, id, language, folder, files, err)))
            return false;
    }
    return json_array_size(files) ||
           error_set(err, ERR_API_NOT_FOUND, "%s ended without a video, or its videos are gone from the store", id);
}

static bool get_done(struct client *client, const char *id, const json_t *campaign, const char *folder, json_t *files,
                     struct error *err) {
    size_t i;
    json_t *language;
    json_array_foreach (json_object_get(campaign, "languages"), i, language) {
        bool done = strcmp(json_get_string(language, "state", ""), "done") == 0;
        if (done && !get_language(client, id, json_get_string(language, "language", ""), folder, files, err))
            return false;
    }
    return json_array_size(files) ||
           error_set(err, ERR_API_NOT_FOUND, "no language of %s is done yet; mela watch %s waits for them", id, id);
}

/* Pictures have a folder of their own unless --output names one. */
static bool get_pictures(const struct cli *cli, struct client *client, const char *id, const json_t *spec,
                         json_t *files, struct error *err) {
    const char *folder = cli_value(cli, "output");
    return pictures_get(client, spec, folder ? folder : id, files, err);
}

/* Whatever is done. */
static bool get_all(const struct cli *cli, struct client *client, const char *id, const char *folder, json_t *files,
                    struct error *err) {
    struct error failure;
    _cleanup_free_ char *path = xasprintf("/v1/campaigns/%s", id), *spec_path = xasprintf("%s/files/spec.json", path);
    _cleanup_json_ json_t *campaign = client_get(client, path, err);
    if (campaign && strcmp(json_get_string(campaign, "workload", ""), "images") != 0)
        return get_done(client, id, campaign, folder, files, err);
    if (!campaign && err->code != ERR_QUEUE_NOT_FOUND)
        return false;
    _cleanup_json_ json_t *spec = client_get(client, spec_path, &failure);
    if (!spec) {
        if (campaign || failure.code != ERR_STORE_NOT_FOUND) /* else *err stays: there is no such campaign */
            *err = failure;
        return false;
    }
    return json_object_get(spec, "images") ? get_pictures(cli, client, id, spec, files, err)
                                           : get_forgotten(client, id, spec, folder, files, err);
}

static bool get_run(struct cli *cli, struct error *err) {
    const char *language = cli_value(cli, "language");
    const char *folder = cli_value(cli, "output") ? cli_value(cli, "output") : ".";
    _cleanup_free_ char *id = client_escape(cli_argument(cli, 0), false);
    _cleanup_free_ char *escaped = language ? client_escape(language, false) : NULL;
    _cleanup_json_ json_t *files = json_array();
    _cleanup_client_ struct client *client = client_open(cli, err);
    if (!client || !(escaped ? get_language(client, id, escaped, folder, files, err)
                             : get_all(cli, client, id, folder, files, err)))
        return false;
    if (cli_json(cli))
        cli_print_json(files);
    else
        pictures_print(files);
    return true;
}

const struct command command_get = {
    .name = "get",
    .arguments = "ID",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "fetch the dubbed videos, or the pictures",
    .help =
        "Fetches every language that is done, or one, as ID-LANGUAGE.mp4, and prints the paths. A file appears whole "
        "or not at all: an interrupted fetch is continued, and the bytes must be those that were published. Campaigns "
        "that ended long ago can be fetched too. Of pictures, those that there are come as NUMBER-seedSEED.png, with "
        "sheet.png and index.json, into a folder of the campaign's id; what is there already is not fetched again.\n\n"
        "Examples:\n  mela get diwali-2026-3f9a1c0b2d --output dubs\n  mela get diwali-2026-3f9a1c0b2d --language hi\n",
    .options = (const struct cli_option[]){{"language", "LANG", "only this one"},
                                           {"output", "DIR",
                                            "where to; made when missing; default: here, or for pictures ID", 'o'},
                                           {0}},
    .run = get_run,
};
