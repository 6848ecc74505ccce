#include <string.h>

#include "base/memory.h"
#include "cli/cli.h"
#include "cli/commands.h"

static void print_options(const struct cli_option *options) {
    for (; options && options->name; options++)
        printf(" --%s", options->name);
}

/* Whether the word before the space, if there is one, is that of the command before too. */
static bool begins_anew(const struct command *const *commands, const struct command *const *command) {
    size_t length = strcspn((*command)->name, " ");
    return command == commands || strncmp(command[-1]->name, (*command)->name, length) != 0 ||
           strcspn(command[-1]->name, " ") != length;
}

/* Second words of commands such as "scale hold" are offered behind the first one. */
static void print_names(const struct command *const *commands) {
    printf("  [ \"$COMP_CWORD\" = 1 ] && names='");
    for (const struct command *const *command = commands; *command; command++)
        if (begins_anew(commands, command))
            printf(" %.*s", (int)strcspn((*command)->name, " "), (*command)->name);
    printf("'\n");
    for (const struct command *const *command = commands; *command; command++) {
        const char *second = strchr((*command)->name, ' ');
        if (second)
            printf("  [ \"$COMP_CWORD:${COMP_WORDS[1]}\" = 2:%.*s ] && names+='%s'\n", (int)(second - (*command)->name),
                   (*command)->name, second);
    }
}

static void print_bash(const struct program *program) {
    printf(
        "_mela() {\n  local word=${COMP_WORDS[COMP_CWORD]} words='' names=''\n  case \"${COMP_WORDS[*]:1:2} \" in\n");
    for (const struct command *const *command = program->commands; *command; command++) {
        printf("  '%s '*) words='", (*command)->name);
        print_options((*command)->options);
        print_options(program->common);
        printf(" --json --help' ;;\n");
    }
    printf("  esac\n");
    print_names(program->commands);
    printf("  case $word in\n"
           "  -*) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\") ;;\n"
           "  *) if [ -n \"$names\" ]; then mapfile -t COMPREPLY < <(compgen -W \"$names\" -- \"$word\")\n"
           "     else mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); fi ;;\n"
           "  esac\n}\ncomplete -o filenames -F _mela mela\n");
}

static bool run(struct cli *cli, struct error *err) {
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
    .help = "Example:\n  source <(mela completion bash)\n",
    .run = run,
};
