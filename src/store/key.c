#include "store/key.h"

#include <string.h>

enum { KEY_MAX = 1024 }; /* S3's limit, in bytes */

/* Why the key is refused, or NULL. */
static const char *key_fault(const char *key) {
    size_t length = strlen(key);
    if (length == 0)
        return "it is empty";
    if (length > KEY_MAX)
        return "it is longer than 1024 bytes";
    for (const char *c = key; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return "it has control characters";
    for (const char *part = key;; part++) {
        size_t size = strcspn(part, "/");
        if (size == 0 || (size == 1 && part[0] == '.') || (size == 2 && part[0] == '.' && part[1] == '.'))
            return "it has an empty, \".\" or \"..\" component";
        if (part == key && size == 4 && memcmp(part, ".tmp", 4) == 0)
            return ".tmp is the store's own";
        part += size;
        if (!*part)
            return NULL;
    }
}

bool key_is_valid(const char *key) { return !key_fault(key); }

bool key_check(const char *key, struct error *err) {
    const char *fault = key_fault(key);
    if (!fault)
        return true;
    char shown[128];
    size_t length = MIN(strlen(key), sizeof shown - 1);
    for (size_t i = 0; i < length; i++)
        shown[i] = (unsigned char)key[i] < 0x20 || key[i] == 0x7f ? '?' : key[i];
    shown[length] = '\0';
    return error_set(err, ERR_STORE_INVALID_KEY, "the key \"%s\" is not allowed: %s", shown, fault);
}
