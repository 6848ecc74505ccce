/* completion: a script for bash, made from the program's own table of commands. */
#include <ctype.h>
#include <string.h>

#include "base/memory.h"
#include "cli/commands.h"

/* The name of a program's completion function: "_mela_worker". */
static void print_function(const char *program) {
    putchar('_');
    for (; *program; program++)
        putchar(*program == '-' ? '_' : *program);
}

static void print_options(const struct cli_option *options) {
    for (; options && options->name; options++)
        printf(" --%s", options->name);
}

/* Completes a command that another program carries out as that program does, whose script is loaded when it is first
 * needed. The words are the same: COMP_WORDS[1] is the command in both. */
static void print_delegate(const struct command *command) {
    printf("  '%s '*) declare -F ", command->name);
    print_function(command->handed_to);
    printf(" >/dev/null || source <(%s completion bash 2>/dev/null)\n     declare -F ", command->handed_to);
    print_function(command->handed_to);
    printf(" >/dev/null && [ \"$COMP_CWORD\" -gt 1 ] && { ");
    print_function(command->handed_to);
    printf("; return; } ;;\n");
}

/* A case for each command: the options that it takes. */
static void print_command(const struct program *program, const struct command *command) {
    if (command->handed_to && !command->options) {
        print_delegate(command);
        return;
    }
    printf("  '%s '*) words='", command->name);
    print_options(command->options);
    if (!command->handed_to)
        print_options(program->common);
    printf(" --json --help' ;;\n");
}

/* Choices as words, "check|stats" up to the end or a space. */
static void print_choices(const char *choices) {
    for (; *choices && *choices != ' '; choices++)
        putchar(*choices == '|' ? ' ' : *choices);
}

/* The next words of commands: "scale hold" is completed a word at a time, and "queue check|stats" has its choices as
 * arguments, as "models add lips|image" has behind its second word (other arguments are in capitals). */
static void print_next_words(const struct command *command) {
    const char *name = command->name, *space = strchr(name, ' '), *choices = command->arguments;
    bool has_choices = choices && islower((unsigned char)choices[0]);
    if (space || has_choices) {
        printf("  [ \"$COMP_CWORD ${COMP_WORDS[1]}\" = '2 %.*s' ] && nexts+=' ", (int)strcspn(name, " "), name);
        print_choices(space ? space + 1 : choices);
        printf("'\n");
    }
    if (space && has_choices) {
        printf("  [ \"$COMP_CWORD ${COMP_WORDS[*]:1:2}\" = '3 %s' ] && nexts+=' ", name);
        print_choices(choices);
        printf("'\n");
    }
}

static void print_names(const struct program *program) {
    printf("  [ \"$COMP_CWORD\" = 1 ] && words='");
    for (const struct command *const *command = program->commands; *command; command++)
        printf(" %.*s", (int)strcspn((*command)->name, " "), (*command)->name);
    printf("'\n");
    for (const struct command *const *command = program->commands; *command; command++)
        print_next_words(*command);
}

static void print_bash(const struct program *program) {
    print_function(program->name);
    printf("() {\n  local word=${COMP_WORDS[COMP_CWORD]} words nexts\n  case \"${COMP_WORDS[*]:1:2} \" in\n");
    for (const struct command *const *command = program->commands; *command; command++)
        print_command(program, *command);
    printf("  esac\n");
    print_names(program);
    printf("  case $word in\n"
           "  -*) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\") ;;\n"
           "  *) if [ \"$COMP_CWORD\" = 1 ]; then mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
           "     elif [ -n \"$nexts\" ]; then mapfile -t COMPREPLY < <(compgen -W \"$nexts\" -- \"$word\")\n"
           "     else mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); fi ;;\n"
           "  esac\n}\ncomplete -o filenames -F ");
    print_function(program->name);
    printf(" %s\n", program->name);
}

static bool completion_run(struct cli *cli, struct error *err) {
    if (strcmp(cli_argument(cli, 0), "bash") != 0)
        return error_set(err, ERR_USAGE, "there is completion for bash only, not for \"%s\"", cli_argument(cli, 0));
    print_bash(cli_program(cli));
    return true;
}

const struct command command_completion = {
    .name = "completion",
    .arguments = "bash",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "print a completion script for the shell",
    .help = "mela and mela-worker each print their own.\n\n"
            "Example:\n  source <(mela completion bash); source <(mela-worker completion bash)\n",
    .run = completion_run,
};
