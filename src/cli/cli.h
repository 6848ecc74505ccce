/* cli: the commands of mela and mela-worker, one file each, over one common frame.
 *
 * A command is an entry in its program's table: name, options, help with examples, and a function. The frame
 * parses (argp), answers --help, and reports: results go to stdout (JSON with --json), progress and logs to
 * stderr, and an error is printed once, at the end, as "mela: <message> [code]" (with --json as the API's
 * error object). The exit status follows from the error's code; docs/cli.md lists both. `mela` links base,
 * farm, store, queue, scale and server only; the commands of mela-worker live in worker/ and are linked
 * apart. */
#pragma once

#include "base/base.h"
#include "farm/config.h"

/* What a program's exit status means. */
enum exit_status {
    STATUS_OK = 0,
    STATUS_FAILED = 1,      /* any error not named below */
    STATUS_USAGE = 2,       /* the command line, the spec or a setting is wrong */
    STATUS_UNREACHABLE = 3, /* the farm, its Redis or its store does not answer */
    STATUS_NOT_FOUND = 4,   /* no such campaign, job, file or model */
    STATUS_DENIED = 5,      /* the key is missing, unknown, or its role does not allow this */
    STATUS_CAMPAIGN = 6,    /* the campaign ended failed or partial */
    STATUS_CANCELLED = 7,   /* the campaign was cancelled */
};

struct cli;

/* --name VALUE, or --name when `value` is NULL; -l VALUE too when there is a `letter`. */
struct cli_option {
    const char *name, *value, *help;
    char letter;
};

struct command {
    const char *name;      /* one or two words: "submit", "models list" */
    const char *arguments; /* as shown in the usage: "ID", "[ID...]"; NULL: none */
    int min_arguments, max_arguments;
    const char *summary;              /* one line for the list of commands */
    const char *help;                 /* details and examples, shown behind the options */
    const struct cli_option *options; /* ended by a NULL name; NULL: none */
    /* The program that carries the command out, such as "mela-worker": everything behind the name is an argument for
     * it, and nothing is parsed here. Its options above are for completion only. NULL: this program. */
    const char *handed_to;
    /* Returns false with *err set; an exit status that is no error goes into cli_set_status. */
    bool (*run)(struct cli *cli, struct error *err);
};

struct program {
    const char *name, *summary;
    const struct command *const *commands; /* ended by NULL */
    const struct cli_option *common;       /* taken by every command besides --json; ended by a NULL name */
};

/* Runs the command that argv names; returns the exit status. When argv[0] is "mela", mela handed the command over: help
 * and errors then say mela, as the user typed it, and not program->name. */
int cli_main(const struct program *program, int argc, char **argv);

/* The running program and command. Borrowed. */
const struct program *cli_program(const struct cli *cli);
const struct command *cli_command(const struct cli *cli);
bool cli_json(const struct cli *cli);
/* Of a flag without value: was it given? */
bool cli_flag(const struct cli *cli, const char *option);
/* The last value given, NULL when there is none. Borrowed. */
const char *cli_value(const struct cli *cli, const char *option);
/* The nth value of a repeated option (from 0), NULL behind the last. */
const char *cli_nth_value(const struct cli *cli, const char *option, int nth);
/* The option's value as a whole number within [low, high]; `fallback` when not given. False with usage
 * otherwise. */
bool cli_integer(const struct cli *cli, const char *option, int64_t fallback, int64_t low, int64_t high, int64_t *out,
                 struct error *err) must_check;
bool cli_number(const struct cli *cli, const char *option, double fallback, double low, double high, double *out,
                struct error *err) must_check;
int cli_argument_count(const struct cli *cli);
/* NULL behind the last. Borrowed. */
const char *cli_argument(const struct cli *cli, int index);
/* The settings: flags of the same name (dashes become underscores) over MELA_* over farm.json over defaults.
 * Borrowed; NULL with config.invalid. */
const struct config *cli_config(struct cli *cli, struct error *err) must_check;
/* The farm's data directory on this machine: --data, MELA_DATA, farm.json, ~/.local/share/mela. Caller frees.
 */
char *cli_data_directory(struct cli *cli, struct error *err) must_check;
/* Where weights are: --models, MELA_MODELS, farm.json, "models" in the data directory. Caller frees. */
char *cli_models_directory(struct cli *cli, struct error *err) must_check;
/* The manifests that mela ships: --manifests, MELA_MANIFESTS, farm.json, ../share/mela/models from the
 * program, the source tree. Caller frees. */
char *cli_manifests_directory(struct cli *cli, struct error *err) must_check;
/* The program that the environment's `variable` names, else the one of this name in the running program's
 * folder. Caller frees. */
char *cli_sibling_program(const char *name, const char *variable);

void cli_set_status(struct cli *cli, int status);
/* Problems behind an error that one sentence cannot hold, [{"path","message"}...]; printed with it. Takes a
 * new reference of its own. */
void cli_set_details(struct cli *cli, json_t *details);
/* Prints a result as indented JSON on stdout. */
void cli_print_json(const json_t *value);

/* The exit status for an error. */
int exit_status_of(enum error_code code);
