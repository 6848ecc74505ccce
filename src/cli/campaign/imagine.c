#include <libgen.h>
#include <string.h>

#include "base/memory.h"
#include "cli/campaign/again.h"
#include "cli/campaign/pictures.h"
#include "cli/campaign/prompts.h"
#include "cli/campaign/submit.h"
#include "cli/campaign/watch.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "farm/campaign.h"

/* ---- the spec ---- */

static bool add_picture_size(const struct cli *cli, json_t *defaults, struct error *err) {
    const char *size = cli_value(cli, "size");
    int width, height, end = -1;
    if (!size)
        return true;
    if (sscanf(size, "%5dx%5d%n", &width, &height, &end) != 2 || end != (int)strlen(size))
        return error_set(err, ERR_USAGE, "--size is \"%s\", not WIDTHxHEIGHT such as 1216x832", size);
    json_object_set_new(defaults, "width", json_integer(width));
    json_object_set_new(defaults, "height", json_integer(height));
    return true;
}

/* Its range is told by the spec's reader. */
static bool add_integer(const struct cli *cli, const char *option, json_t *defaults, struct error *err) {
    int64_t value;
    if (!cli_integer(cli, option, 0, INT64_MIN, INT64_MAX, &value, err))
        return false;
    if (cli_value(cli, option))
        json_object_set_new(defaults, option, json_integer(value));
    return true;
}

static void add_loras(const struct cli *cli, json_t *defaults) {
    const char *lora;
    for (int i = 0; (lora = cli_nth_value(cli, "lora", i)); i++) {
        if (i == 0)
            json_object_set_new(defaults, "loras", json_array());
        json_array_append_new(json_object_get(defaults, "loras"), lora_from_text(lora, strlen(lora)));
    }
}

/* What the options say of each prompt. New reference. */
static json_t *read_prompt_options(const struct cli *cli, struct error *err) {
    _cleanup_json_ json_t *defaults = json_object();
    double guidance;
    if (!add_integer(cli, "count", defaults, err) || !add_integer(cli, "seed", defaults, err) ||
        !add_integer(cli, "steps", defaults, err) || !add_picture_size(cli, defaults, err) ||
        !cli_number(cli, "guidance", 0, -1e9, 1e9, &guidance, err))
        return NULL;
    if (cli_value(cli, "guidance"))
        json_object_set_new(defaults, "guidance", json_real(guidance));
    if (cli_value(cli, "negative"))
        json_object_set_new(defaults, "negative_prompt", json_string(cli_value(cli, "negative")));
    if (cli_value(cli, "scheduler"))
        json_object_set_new(defaults, "scheduler", json_string(cli_value(cli, "scheduler")));
    if (cli_flag(cli, "enhance"))
        json_object_set_new(defaults, "enhance", json_true());
    add_loras(cli, defaults);
    return steal(defaults);
}

static bool read_prompts_given(const struct cli *cli, struct prompts *prompts, struct error *err) {
    const char *file = cli_value(cli, "prompts");
    if (file && cli_argument_count(cli) > 0)
        return error_set(err, ERR_USAGE, "give prompts on the command line or by --prompts, not both");
    if (file)
        return prompts_read(file, prompts, err);
    *prompts = (struct prompts){NULL, json_array(), json_array(), json_array()};
    for (int i = 0; i < cli_argument_count(cli); i++)
        json_array_append_new(prompts->list, json_pack("{s:s}", "prompt", cli_argument(cli, i)));
    return json_array_size(prompts->list) ||
           error_set(err, ERR_USAGE, "give a prompt, --prompts FILE, or --again FILE");
}

/* "images" of the spec from prompts and options. New reference. */
static json_t *read_images(const struct cli *cli, struct prompts *prompts, struct error *err) {
    _cleanup_json_ json_t *defaults = NULL;
    if (!read_prompts_given(cli, prompts, err) || !(defaults = read_prompt_options(cli, err)))
        return NULL;
    json_t *images = json_pack("{s:O,s:O}", "prompts", prompts->list, "defaults", defaults);
    if (cli_value(cli, "model"))
        json_object_set_new(images, "model", json_string(cli_value(cli, "model")));
    if (cli_flag(cli, "weighted"))
        json_object_set_new(images, "syntax", json_string("weighted"));
    if (cli_flag(cli, "long-prompts"))
        json_object_set_new(images, "long_prompts", json_true());
    if (cli_flag(cli, "no-sheet"))
        json_object_set_new(images, "sheet", json_false());
    if (cli_flag(cli, "no-metadata"))
        json_object_set_new(images, "metadata", json_false());
    return images;
}

/* That of a recipe, as it is. New reference. */
static json_t *read_recipe(const struct cli *cli, struct again *again, struct prompts *prompts, struct error *err) {
    static const char *const fixed[] = {"prompts", "count",        "negative", "seed",        "size",
                                        "steps",   "guidance",     "model",    "weighted",    "scheduler",
                                        "enhance", "long-prompts", "no-sheet", "no-metadata", "lora"};
    for (size_t i = 0; i < ARRAY_LENGTH(fixed); i++)
        if (cli_flag(cli, fixed[i]) || cli_argument_count(cli) > 0) {
            error_set(err, ERR_USAGE, "%s%s cannot be given with --again, which makes the very same",
                      cli_argument_count(cli) > 0 ? "a prompt" : "--", cli_argument_count(cli) > 0 ? "" : fixed[i]);
            return NULL;
        }
    *prompts = (struct prompts){NULL, json_array(), json_array(), json_array()};
    if (!again_read(cli_value(cli, "again"), again, err))
        return NULL;
    json_t *images = json_copy(again->recipe);
    json_object_set_new(images, "sheet", json_false());
    return images;
}

/* --name, else the file's name without its ending, or what the first prompt begins with. Caller frees. */
static char *campaign_name(const struct cli *cli, const json_t *images) {
    enum { WORDS_MAX = 60 };
    const char *file = cli_value(cli, "prompts");
    const char *prompt = json_get_string(json_array_get(json_object_get(images, "prompts"), 0), "prompt", "");
    if (cli_value(cli, "name"))
        return xstrdup(cli_value(cli, "name"));
    if (file && strcmp(file, "-") != 0) {
        _cleanup_free_ char *copy = xstrdup(file);
        const char *base = basename(copy), *dot = strrchr(base, '.');
        return xstrndup(base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
    }
    size_t length = strlen(prompt);
    if (length > WORDS_MAX)
        for (length = WORDS_MAX; length > 0 && ((unsigned char)prompt[length] & 0xc0) == 0x80; length--)
            ; /* not inside a character */
    return length ? xstrndup(prompt, length) : xstrdup("pictures");
}

static json_t *make_spec(const struct cli *cli, json_t *images) {
    _cleanup_free_ char *name = campaign_name(cli, images);
    return json_pack("{s:s,s:s*,s:s*,s:O}", "name", name, "class", cli_value(cli, "class"), "deadline",
                     cli_value(cli, "deadline"), "images", images);
}

/* ---- mistakes ---- */

/* Says all mistakes at once, those of the file with their lines. What could be read is looked at even if some could
 * not. */
static bool check_spec(struct cli *cli, const json_t *spec, const struct prompts *prompts, struct error *err) {
    _cleanup_json_ json_t *found = json_array(), *all = json_copy(prompts->problems);
    size_t i;
    json_t *problem;
    bool any = json_array_size(prompts->list) > 0 || json_array_size(prompts->problems) == 0;
    struct campaign *campaign = any ? campaign_parse(spec, "imagine", found) : NULL;
    if (campaign)
        campaign_free(campaign);
    json_array_foreach (found, i, problem)
        json_array_append_new(all, prompts_place(prompts, problem));
    size_t count = json_array_size(all);
    if (count == 0)
        return true;
    cli_set_details(cli, all);
    const json_t *first = json_array_get(all, 0);
    return error_set(err, ERR_SPEC_INVALID, "%zu mistake%s; %s %s", count, count == 1 ? "" : "s",
                     json_get_string(first, "path", ""), json_get_string(first, "message", ""));
}

static void print_warnings(const struct cli *cli, const json_t *answer, const struct prompts *prompts) {
    _cleanup_json_ json_t *placed = json_array();
    size_t i;
    json_t *warning;
    json_array_foreach (json_object_get(answer, "warnings"), i, warning)
        json_array_append_new(placed, prompts_place(prompts, warning));
    submit_print_warnings(cli, placed);
}

/* ---- what comes ---- */

static json_t *fetch_spec(struct client *client, const char *id, struct error *err) {
    _cleanup_free_ char *path = xasprintf("/v1/campaigns/%s/files/spec.json", id);
    return client_get(client, path, err);
}

static bool fetch_pictures(struct cli *cli, struct client *client, const json_t *spec, struct error *err) {
    _cleanup_json_ json_t *files = json_array();
    if (!pictures_get(client, spec, cli_value(cli, "output"), files, err))
        return false;
    if (cli_json(cli)) {
        _cleanup_json_ json_t *line = json_pack("{s:O}", "files", files);
        _cleanup_free_ char *text = json_line(line);
        printf("%s\n", text);
    } else {
        pictures_print(files);
    }
    return true;
}

static bool keep_record(const char *job, const json_t *record, void *context, struct error *err) {
    json_t **kept = context;
    json_decref(*kept);
    *kept = json_incref((json_t *)(uintptr_t)record);
    return true;
}

static void print_comparison(const json_t *comparison) {
    size_t i;
    json_t *picture, *difference;
    const char *member;
    json_array_foreach (json_object_get(comparison, "pictures"), i, picture)
        printf("seed %lld: %s\n", (long long)json_get_integer(picture, "seed", 0),
               json_get_bool(picture, "same", false) ? "the same" : "not the same");
    json_object_foreach (json_object_get(comparison, "origin"), member, difference) {
        _cleanup_free_ char *was = json_line(json_object_get(difference, "was")),
                            *is = json_line(json_object_get(difference, "is"));
        printf("  %s was %s, is %s\n", member, was, is);
    }
}

static bool compare_pictures(struct cli *cli, struct client *client, const json_t *spec, const struct again *again,
                             struct error *err) {
    _cleanup_json_ json_t *record = NULL; /* of the one handful */
    if (!pictures_each_record(client, spec, keep_record, &record, err))
        return false;
    _cleanup_json_ json_t *comparison = again_compare(again, record);
    if (!json_get_bool(comparison, "same", false))
        cli_set_status(cli, STATUS_FAILED);
    if (cli_json(cli)) {
        _cleanup_free_ char *line = json_line(comparison);
        printf("%s\n", line);
    } else {
        print_comparison(comparison);
    }
    return true;
}

static bool follow(struct cli *cli, struct client *client, const char *id, const struct again *again,
                   struct error *err) {
    if (!watch_campaign(cli, id, err))
        return false;
    _cleanup_json_ json_t *spec = fetch_spec(client, id, err);
    return spec && (!cli_value(cli, "output") || fetch_pictures(cli, client, spec, err)) &&
           (!again->recipe || compare_pictures(cli, client, spec, again, err));
}

static bool imagine_run(struct cli *cli, struct error *err) {
    _cleanup_prompts_ struct prompts prompts = {0};
    _cleanup_again_ struct again again = {0};
    bool follows = cli_flag(cli, "watch") || cli_value(cli, "output");
    _cleanup_json_ json_t *images =
        cli_value(cli, "again") ? read_recipe(cli, &again, &prompts, err) : read_images(cli, &prompts, err);
    _cleanup_json_ json_t *spec = images ? make_spec(cli, images) : NULL, *files = json_object();
    if (!spec || !submit_name_files(spec, ".", files, err) || !check_spec(cli, spec, &prompts, err))
        return false;
    _cleanup_client_ struct client *client = client_open(cli, err);
    if (!client || !submit_upload_files(client, files, err))
        return false;
    _cleanup_json_ json_t *answer = submit_post(cli, client, spec, follows, err);
    if (!answer)
        return false;
    print_warnings(cli, answer, &prompts);
    return !follows || follow(cli, client, json_get_string(answer, "id", ""), &again, err);
}

const struct command command_imagine = {
    .name = "imagine",
    .arguments = "[PROMPT...]",
    .max_arguments = 1000,
    .summary = "submit a campaign of pictures, made from words",
    .help =
        "Prints the campaign's id. Prompts come from the command line, or from a file: .csv with a header, .jsonl, or "
        "a "
        "prompt a line (- is stdin); docs/images.md has the forms. Every mistake in a file is told with its line, and "
        "then nothing is submitted. A LoRA is one of the workers' by name, or a file, which is uploaded once.\n\n"
        "--again makes the pictures of a record.json, or of a picture of mela's, once more, and when it is watched "
        "says "
        "of each whether it came out the same; exit status 1 if one did not.\n\n"
        "Examples:\n  mela imagine \"a marigold garland over a blue door\" --count 4 --seed 7 --watch --output doors\n"
        "  mela imagine --prompts doors.csv --size 1216x832 --lora diwali:0.8 --lora ./mine.safetensors:1.2\n"
        "  mela imagine --again doors/0002-seed9.png --watch\n",
    .options =
        (const struct cli_option[]){
            {"prompts", "FILE", "prompts of a file: .csv, .jsonl, else one a line; -: stdin"},
            {"count", "N", "pictures of each prompt, default 1"},
            {"negative", "TEXT", "what shall not be there"},
            {"seed", "N", "of the first picture of each prompt, the next have the next; default: drawn and recorded"},
            {"size", "WxH", "in pixels, such as 1216x832; default: the model's"},
            {"steps", "N", "default 30"},
            {"guidance", "G", "how closely the prompt is followed, default 5"},
            {"scheduler", "NAME",
             "euler, euler_ancestral, dpmpp_2m, each also with _karras, or lcm; default: the model's"},
            {"model", "NAME", "default " IMAGES_MODEL},
            {"lora", "NAME[:WEIGHT]", "a LoRA of the workers' or a file of yours; may be repeated"},
            {"weighted", NULL, "(word), (word:1.3) and [word] weigh words"},
            {"long-prompts", NULL, "what is beyond 75 tokens counts too, and is not cut off"},
            {"enhance", NULL, "make the pictures larger at the end"},
            {"no-sheet", NULL, "no contact sheet"},
            {"no-metadata", NULL, "do not write into the pictures how they were made"},
            {"again", "FILE", "make those of a record.json, or a picture, once more"},
            {"name", "NAME", "the campaign's name; default: the file's, or the prompt's beginning"},
            {"class", "CLASS", "urgent or batch, default batch"},
            {"deadline", "TIME", "when it should be done, such as 2026-11-08T18:00:00+05:30"},
            {"idempotency-key", "KEY", "submitting twice with the same key makes one campaign"},
            {"watch", NULL, "follow the campaign to its end"},
            {"output", "DIR", "follow it, then fetch the pictures into this folder; made when missing", 'o'},
            {0},
        },
    .run = imagine_run,
};
