#include <string.h>

#include "base/memory.h"
#include "cli/cli.h"
#include "cli/commands.h"

static void print_options(const struct cli_option *options) {
    for (; options && options->name; options++)
        printf(" --%s", options->name);
}

/* Commands of two words complete a word at a time: the first, then the second. */
static void print_names(const struct program *program) {
    printf("  [ \"$COMP_CWORD\" = 1 ] && words='");
    for (const struct command *const *command = program->commands; *command; command++)
        printf(" %.*s", (int)strcspn((*command)->name, " "), (*command)->name);
    printf("'\n");
    for (const struct command *const *command = program->commands; *command; command++) {
        size_t first = strcspn((*command)->name, " ");
        if ((*command)->name[first])
            printf("  [ \"$COMP_CWORD ${COMP_WORDS[1]}\" = '2 %.*s' ] && seconds+=' %s'\n", (int)first,
                   (*command)->name, (*command)->name + first + 1);
    }
}

static void print_bash(const struct program *program) {
    printf("_mela() {\n  local word=${COMP_WORDS[COMP_CWORD]} words seconds\n  case \"${COMP_WORDS[*]:1:2} \" in\n");
    for (const struct command *const *command = program->commands; *command; command++) {
        printf("  '%s '*) words='", (*command)->name);
        print_options((*command)->options);
        print_options(program->common);
        printf(" --json --help' ;;\n");
    }
    printf("  esac\n");
    print_names(program);
    printf("  case $word in\n"
           "  -*) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\") ;;\n"
           "  *) if [ \"$COMP_CWORD\" = 1 ]; then mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
           "     elif [ -n \"$seconds\" ]; then mapfile -t COMPREPLY < <(compgen -W \"$seconds\" -- \"$word\")\n"
           "     else mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); fi ;;\n"
           "  esac\n}\ncomplete -o filenames -F _mela mela\n");
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
    .help = "Example:\n  source <(mela completion bash)\n",
    .run = completion_run,
};
