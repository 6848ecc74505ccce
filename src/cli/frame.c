#include <argp.h>
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cli.h"

struct given {
    const char *option, *value;
};

struct cli {
    const struct program *program;
    const struct command *command;
    struct argp_option *options; /* what argp knows: the command's, then the common ones */
    struct given *given;
    size_t given_count;
    char **arguments;
    int argument_count;
    bool json, helped;
    struct config *config;
    int status;
    json_t *details;
    struct error *err; /* while parsing */
};

enum { FIRST_KEY = 0x1000 }; /* of options without a letter: above every character, below the keys of argp itself */

static const struct cli_option universal[] = {{"json", NULL, "results and errors as JSON"},
                                              {"help", NULL, "this text"}};

/* ---- what commands ask ---- */

const struct program *cli_program(const struct cli *cli) { return cli->program; }
bool cli_json(const struct cli *cli) { return cli->json; }
int cli_argument_count(const struct cli *cli) { return cli->argument_count; }
void cli_set_status(struct cli *cli, int status) { cli->status = status; }

const char *cli_argument(const struct cli *cli, int index) {
    return index < cli->argument_count ? cli->arguments[index] : NULL;
}

bool cli_flag(const struct cli *cli, const char *option) {
    for (size_t i = 0; i < cli->given_count; i++)
        if (strcmp(cli->given[i].option, option) == 0)
            return true;
    return false;
}

const char *cli_nth_value(const struct cli *cli, const char *option, int nth) {
    for (size_t i = 0; i < cli->given_count; i++)
        if (strcmp(cli->given[i].option, option) == 0 && nth-- == 0)
            return cli->given[i].value;
    return NULL;
}

const char *cli_value(const struct cli *cli, const char *option) {
    const char *last = NULL;
    for (size_t i = 0; i < cli->given_count; i++)
        if (strcmp(cli->given[i].option, option) == 0)
            last = cli->given[i].value;
    return last;
}

bool cli_integer(const struct cli *cli, const char *option, int64_t fallback, int64_t low, int64_t high, int64_t *out,
                 struct error *err) {
    const char *text = cli_value(cli, option);
    char *end = NULL;
    errno = 0;
    long long number = text ? strtoll(text, &end, 10) : fallback;
    if (text && (!text[0] || *end || errno || number < low || number > high))
        return error_set(err, ERR_USAGE, "--%s is \"%s\", not a whole number from %lld to %lld", option, text,
                         (long long)low, (long long)high);
    *out = number;
    return true;
}

bool cli_number(const struct cli *cli, const char *option, double fallback, double low, double high, double *out,
                struct error *err) {
    const char *text = cli_value(cli, option);
    char *end = NULL;
    double number = text ? strtod(text, &end) : fallback;
    if (text && (!text[0] || *end || !(number >= low && number <= high)))
        return error_set(err, ERR_USAGE, "--%s is \"%s\", not a number from %g to %g", option, text, low, high);
    *out = number;
    return true;
}

const struct config *cli_config(struct cli *cli, struct error *err) {
    if (cli->config || !(cli->config = config_load(cli_value(cli, "config"), err)))
        return cli->config;
    for (size_t i = 0; i < cli->given_count; i++) {
        _cleanup_free_ char *name = xstrdup(cli->given[i].option);
        for (char *c = name; *c; c++)
            if (*c == '-')
                *c = '_';
        struct error no_setting; /* an option that is no setting is the command's own */
        if (cli->given[i].value && !config_set_flag(cli->config, name, cli->given[i].value, &no_setting))
            continue;
    }
    /* The store reads it from the environment, as the workers do that we start. No thread runs yet. */
    if (config_get(cli->config, "s3_endpoint"))
        setenv("MELA_S3_ENDPOINT", config_get(cli->config, "s3_endpoint"), 1);
    return cli->config;
}

void cli_set_details(struct cli *cli, json_t *details) {
    json_decref(cli->details);
    cli->details = json_incref(details);
}

void cli_print_json(const json_t *value) {
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    putchar('\n');
}

int exit_status_of(enum error_code code) {
    switch (code) {
    case ERR_NONE:
        return STATUS_OK;
    case ERR_USAGE:
    case ERR_SPEC_INVALID:
    case ERR_CONFIG_INVALID:
    case ERR_JSON_INVALID:
    case ERR_API_BAD_REQUEST:
        return STATUS_USAGE;
    case ERR_API_UNREACHABLE:
    case ERR_QUEUE_UNAVAILABLE:
    case ERR_STORE_UNAVAILABLE:
        return STATUS_UNREACHABLE;
    case ERR_API_NOT_FOUND:
    case ERR_QUEUE_NOT_FOUND:
    case ERR_STORE_NOT_FOUND:
    case ERR_MODEL_NOT_FOUND:
    case ERR_MEDIA_NOT_FOUND:
        return STATUS_NOT_FOUND;
    case ERR_API_UNAUTHORIZED:
    case ERR_API_FORBIDDEN:
    case ERR_STORE_DENIED:
        return STATUS_DENIED;
    default:
        return STATUS_FAILED;
    }
}

/* ---- parsing ---- */

static error_t usage_error(struct cli *cli, const char *format, const char *what) {
    _cleanup_free_ char *message = NULL;
    if (cli->err->code == ERR_NONE && asprintf(&message, format, what) >= 0)
        error_set(cli->err, ERR_USAGE, "%s; see %s %s --help", message, cli->program->name, cli->command->name);
    return EINVAL;
}

static error_t take(int key, char *value, struct argp_state *state) {
    struct cli *cli = state->input;
    for (const struct argp_option *option = cli->options; option->name; option++) {
        if (option->key != key)
            continue;
        cli->given[cli->given_count++] = (struct given){option->name, value};
        return 0;
    }
    switch (key) {
    case ARGP_KEY_ARG:
        if (cli->argument_count == cli->command->max_arguments)
            return usage_error(cli, "\"%s\" is one argument too many", value);
        cli->arguments[cli->argument_count++] = value;
        return 0;
    case ARGP_KEY_END:
        if (cli->argument_count < cli->command->min_arguments)
            return usage_error(cli, "%s is missing", cli->command->arguments);
        return 0;
    case ARGP_KEY_ERROR: /* getopt says only that something before `next` is wrong */
        usage_error(cli, "\"%s\" is not an option here, or its value is missing or too much",
                    state->argv[MAX(state->next - 1, 0)]);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static size_t option_count(const struct cli_option *options) {
    size_t count = 0;
    while (options && options[count].name)
        count++;
    return count;
}

/* Appends the options in argp's form; `group` keeps the common ones apart and last. */
static size_t add_options(struct argp_option *out, size_t at, const struct cli_option *options, size_t count,
                          int group) {
    for (size_t i = 0; i < count; i++, at++) {
        int key = options[i].letter ? options[i].letter : FIRST_KEY + (int)at;
        out[at] = (struct argp_option){options[i].name, key, options[i].value, 0, options[i].help, group};
    }
    return at;
}

static bool is_given(int argc, char **argv, const char *word) {
    bool given = false;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        given |= strcmp(argv[i], word) == 0;
    return given;
}

/* argp's own help does not go together with errors that are reported in our way. */
static bool parse(struct cli *cli, int argc, char **argv, struct error *err) {
    size_t own = option_count(cli->command->options), common = option_count(cli->program->common);
    cli->options = xnew_array(struct argp_option, own + common + ARRAY_LENGTH(universal) + 1);
    size_t at = add_options(cli->options, 0, cli->command->options, own, 1);
    at = add_options(cli->options, at, cli->program->common, common, 2);
    add_options(cli->options, at, universal, ARRAY_LENGTH(universal), 2);
    cli->given = xnew_array(struct given, argc + 1);
    cli->arguments = xnew_array(char *, argc + 1);
    _cleanup_free_ char *doc = xasprintf("%s\v%s", cli->command->summary, cli->command->help);
    struct argp argp = {cli->options, take, cli->command->arguments, doc, NULL, NULL, NULL};
    cli->err = err;
    cli->helped = is_given(argc, argv, "--help");
    if (cli->helped)
        argp_help(&argp, stdout, ARGP_HELP_SHORT_USAGE | ARGP_HELP_DOC | ARGP_HELP_LONG, argv[0]);
    if (cli->helped || argp_parse(&argp, argc, argv, ARGP_NO_ERRS | ARGP_NO_HELP, NULL, cli) == 0)
        return true;
    usage_error(cli, "the command line is wrong%s", "");
    return false;
}

/* ---- the program ---- */

static bool starts_with_word(const char *name, const char *word) {
    size_t length = strlen(word);
    return strncmp(name, word, length) == 0 && (name[length] == ' ' || name[length] == '\0');
}

/* All commands, or those whose first word is `word`; false when there is none. */
static bool print_overview(const struct program *program, const char *word) {
    bool any = false;
    for (const struct command *const *command = program->commands; *command; command++) {
        if (word && !starts_with_word((*command)->name, word))
            continue;
        if (!any)
            printf("%s: %s\n\nUsage: %s COMMAND [OPTION...]\n\nCommands:\n", program->name, program->summary,
                   program->name);
        any = true;
        printf("  %-14s %s\n", (*command)->name, (*command)->summary);
    }
    if (any)
        printf("\n%s COMMAND --help tells more about each. Exit status: 0 done, 1 failed, 2 wrong usage or "
               "spec,\n"
               "3 farm does not answer, 4 not found, 5 not allowed, 6 campaign failed or partial, 7 campaign "
               "cancelled.\n",
               program->name);
    return any;
}

/* The command that argv[1] (and argv[2]) name, and how many words that took. */
static const struct command *find_command(const struct program *program, int argc, char **argv, int *words) {
    for (const struct command *const *command = program->commands; *command; command++) {
        const char *name = (*command)->name, *space = strchr(name, ' ');
        size_t first = space ? (size_t)(space - name) : strlen(name);
        *words = space ? 2 : 1;
        if (strlen(argv[1]) == first && strncmp(argv[1], name, first) == 0 &&
            (!space || (argc > 2 && strcmp(argv[2], space + 1) == 0)))
            return *command;
    }
    return NULL;
}

/* Whatever is given may end up in JSON. */
static bool check_utf8(int argc, char **argv, struct error *err) {
    for (int i = 1; i < argc; i++) {
        _cleanup_json_ json_t *text = json_string(argv[i]);
        if (!text)
            return error_set(err, ERR_USAGE, "argument %d is not UTF-8 text", i);
    }
    return true;
}

static bool run(struct cli *cli, int argc, char **argv, struct error *err) {
    int words = 1;
    if (!check_utf8(argc, argv, err))
        return false;
    cli->command = find_command(cli->program, argc, argv, &words);
    if (!cli->command && is_given(argc, argv, "--help") && print_overview(cli->program, argv[1]))
        return true;
    bool two = argc > 2 && argv[2][0] != '-';
    if (!cli->command)
        return error_set(err, ERR_USAGE, "there is no command \"%s%s%s\"; see %s --help", argv[1], two ? " " : "",
                         two ? argv[2] : "", cli->program->name);
    argv += words;
    argc -= words;
    if (cli->command->raw) {
        cli->arguments = xnew_array(char *, argc + 1);
        for (cli->argument_count = 0; cli->argument_count < argc - 1; cli->argument_count++)
            cli->arguments[cli->argument_count] = argv[cli->argument_count + 1];
        return cli->command->run(cli, err);
    }
    _cleanup_free_ char *name = xasprintf("%s %s", cli->program->name, cli->command->name);
    argv[0] = name;
    return parse(cli, argc, argv, err) && (cli->helped || cli->command->run(cli, err));
}

static void print_error(const struct cli *cli, const struct error *err) {
    const char *code = error_name(err->code);
    if (cli->json) {
        json_t *message = json_string(err->message);
        _cleanup_json_ json_t *error =
            json_pack("{s:{s:s,s:o,s:O*}}", "error", "code", code, "message",
                      message ? message : json_string("(a message that is not UTF-8)"), "details", cli->details);
        _cleanup_free_ char *line = json_line(error);
        fprintf(stderr, "%s\n", line);
        return;
    }
    fprintf(stderr, "%s: %s [%s]\n", cli->program->name, err->message, code);
    size_t i;
    json_t *detail;
    json_array_foreach (cli->details, i, detail)
        fprintf(stderr, "  %s %s\n", json_get_string(detail, "path", ""), json_get_string(detail, "message", ""));
}

static void cli_free(struct cli *cli) {
    free(cli->options);
    free(cli->given);
    free(cli->arguments);
    json_decref(cli->details);
    if (cli->config)
        config_free(cli->config);
}

static bool is_any(const char *text, const char *a, const char *b) {
    return strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

int cli_main(const struct program *program, int argc, char **argv) {
    _cleanup_(cli_free) struct cli cli = {.program = program};
    cli.json = is_given(argc, argv, "--json");
    if (argc < 2 || is_any(argv[1], "--help", "help")) {
        print_overview(program, NULL);
        return argc < 2 ? STATUS_USAGE : STATUS_OK;
    }
    char word[] = "version", *version[] = {argv[0], word, NULL};
    bool ask_version = strcmp(argv[1], "--version") == 0;
    struct error err = {0};
    bool done = ask_version ? run(&cli, 2, version, &err) : run(&cli, argc, argv, &err);
    if (done && fflush(stdout) != 0)
        done = error_set_errno(&err, ERR_IO, errno, "cannot write the result");
    if (!done)
        print_error(&cli, &err);
    return done ? cli.status : exit_status_of(err.code);
}
