/* Names of enumerations, looked up both ways. */
#pragma once

#include <stdbool.h>
#include <string.h>

/* Finds `name` among `count` names; its index in *out. */
static inline bool names_find(const char *const *names, int count, const char *name, int *out) {
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) {
            *out = i;
            return true;
        }
    return false;
}
