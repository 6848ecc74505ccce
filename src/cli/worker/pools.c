#include <string.h>

#include "base/memory.h"
#include "cli/worker/commands.h"

bool pools_parse(const char *text, enum pool *pools, size_t *count, struct error *err) {
    _cleanup_free_ char *copy = xstrdup(text);
    char *rest = copy;
    *count = 0;
    for (char *name; (name = strsep(&rest, ","));) {
        if (*count == POOL_COUNT || !pool_parse(name, &pools[*count]))
            return error_set(err, ERR_USAGE, "--pools is \"%s\"; it is a list of cpu, lipsync and image", text);
        (*count)++;
    }
    return true;
}
