/* cli: the commands of mela, mela-worker and mela-simulate, one file each, over one common frame.
 *
 * This folder has the frame (frame.c, paths.c) and what commands share: the API's client, the terminal, completion.
 * campaign/ has the commands of a producer, operations/ those of an operator, worker/ and simulate/ those of the other
 * two programs, which are linked apart: mela needs no FFmpeg and no ONNX Runtime.
 *
 * A command is an entry in its program's table: name, options, help with examples, and a function. The frame parses
 * (argp), answers --help and reports. It promises: results go to stdout (JSON with --json), progress and logs to
 * stderr; an error is printed once, at the end, as "mela: <message> [code]" (with --json as the API's error object);
 * the exit status follows from the error's code. docs/cli.md lists both. Everything here runs on the thread of `main`.
 */
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
    const char *help;                 /* details and examples, shown below the options */
    const struct cli_option *options; /* ended by a NULL name; NULL: none */
    /* The program that carries the command out, such as "mela-worker": everything behind the name is an argument for
     * it, and nothing is parsed here. Its options above are for completion only. NULL: this program. */
    const char *handed_to;
    /* False with *err set. A status other than 0 that is no error (a campaign that failed) is set by cli_set_status. */
    bool (*run)(struct cli *cli, struct error *err);
};

struct program {
    const char *name, *summary;
    const struct command *const *commands; /* ended by NULL */
    const struct cli_option *common;       /* options of every command, besides --json; ended by a NULL name */
};

/* Runs the command that argv names; returns the exit status. When argv[0] is "mela", mela handed the command over: help
 * and errors then say mela, as the user typed it, and not program->name. */
int cli_main(const struct program *program, int argc, char **argv);

/* The running program and command. Borrowed. */
const struct program *cli_program(const struct cli *cli);
const struct command *cli_command(const struct cli *cli);
/* Was --json given? */
bool cli_json(const struct cli *cli);
/* Of a flag without value: was it given? */
bool cli_flag(const struct cli *cli, const char *option);
/* The last value given, NULL when there is none. Borrowed. */
const char *cli_value(const struct cli *cli, const char *option);
/* The nth value of a repeated option (from 0), NULL behind the last. Borrowed. */
const char *cli_nth_value(const struct cli *cli, const char *option, int nth);
/* The option's value as a whole number within [low, high], `fallback` when it is not given. False with usage when it is
 * something else. */
bool cli_integer(const struct cli *cli, const char *option, int64_t fallback, int64_t low, int64_t high, int64_t *out,
                 struct error *err) must_check;
/* The same for any number. */
bool cli_number(const struct cli *cli, const char *option, double fallback, double low, double high, double *out,
                struct error *err) must_check;
/* What is no option, in order; NULL behind the last. Borrowed. */
int cli_argument_count(const struct cli *cli);
const char *cli_argument(const struct cli *cli, int index);
/* The settings: flags of the same name (dashes become underscores) over MELA_* over farm.json over defaults. Read once.
 * Borrowed; NULL with config.invalid. */
const struct config *cli_config(struct cli *cli, struct error *err) must_check;
/* The three folders are absolute paths, which need not exist. Caller frees. NULL with config.invalid, or with usage
 * when a folder is below HOME and that is not set.
 *
 * The farm's data on this machine: --data, MELA_DATA, farm.json, ~/.local/share/mela. */
char *cli_data_directory(struct cli *cli, struct error *err) must_check;
/* Weights: --models, MELA_MODELS, farm.json, "models" in the data directory. */
char *cli_models_directory(struct cli *cli, struct error *err) must_check;
/* The manifests that mela ships: --manifests, MELA_MANIFESTS, farm.json, ../share/mela/models beside the program's
 * folder, else those of the source tree that it was built from. */
char *cli_manifests_directory(struct cli *cli, struct error *err) must_check;
/* The path of another of mela's programs: what the environment's `variable` says, else `name` in the folder of the
 * running program. Caller frees. */
char *cli_sibling_program(const char *name, const char *variable);

/* The exit status (enum exit_status) of a command that succeeds. */
void cli_set_status(struct cli *cli, int status);
/* The problems behind an error that names only the first, [{"path","message"}...]; printed with it. `details` stays the
 * caller's; a reference is added. */
void cli_set_details(struct cli *cli, json_t *details);
/* Prints a result as indented JSON on stdout. */
void cli_print_json(const json_t *value);

/* The exit status for an error, as docs/cli.md lists them. */
int exit_status_of(enum error_code code);
