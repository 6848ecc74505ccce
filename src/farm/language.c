#include "farm/language.h"

#include <ctype.h>
#include <string.h>

/* The shape of a BCP 47 tag: a primary subtag of two or three letters, then subtags of two to eight (RFC
 * 5646, 2.1). */
bool language_is_valid(const char *language) {
    if (strlen(language) > LANGUAGE_MAX)
        return false;
    size_t primary = 0;
    while (isalpha((unsigned char)language[primary]))
        primary++;
    if (primary < 2 || primary > 3)
        return false;
    for (const char *rest = language + primary; *rest;) {
        size_t length = 0;
        while (*rest == '-' && isalnum((unsigned char)rest[length + 1]))
            length++;
        if (length < 2 || length > 8)
            return false;
        rest += length + 1;
    }
    return true;
}
