#include "store/profile.h"

#include <ctype.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

static char *trim(char *text) {
    while (isspace((unsigned char)*text))
        text++;
    for (char *end = text + strlen(text); end > text && isspace((unsigned char)end[-1]); end--)
        end[-1] = '\0';
    return text;
}

/* True when the header "[name]" opens the profile; in the config file all but the default are "[profile
 * name]". */
static bool profile_opens(char *line, const char *profile) {
    char *end = strchr(line, ']');
    if (!end)
        return false;
    *end = '\0';
    char *name = trim(line + 1);
    if (strncmp(name, "profile", 7) == 0 && isspace((unsigned char)name[7]))
        name = trim(name + 7);
    return strcmp(name, profile) == 0;
}

/* The setting in one INI file; NULL when the file, the profile or the setting is not there. */
static char *profile_read(const char *path, const char *profile, const char *setting) {
    _cleanup_buffer_ struct buffer text = {0};
    struct error ignored;
    if (!file_read(path, 1 << 20, &text, &ignored) || !text.data)
        return NULL;
    bool inside = false;
    char *position = NULL;
    for (char *raw = strtok_r(text.data, "\n", &position); raw; raw = strtok_r(NULL, "\n", &position)) {
        char *line = trim(raw), *equals = strchr(line, '=');
        if (*line == '[') {
            inside = profile_opens(line, profile);
        } else if (inside && equals && *line != '#' && *line != ';') {
            *equals = '\0';
            if (strcmp(trim(line), setting) == 0)
                return xstrdup(trim(equals + 1));
        }
    }
    return NULL;
}

static char *profile_path(const char *variable, const char *name) {
    const char *given = getenv(variable), *home = getenv("HOME");
    return given && *given ? xstrdup(given) : xasprintf("%s/.aws/%s", home ? home : "", name);
}

char *profile_get(const char *setting) {
    const char *profile = getenv("AWS_PROFILE");
    if (!profile || !*profile)
        profile = "default";
    _cleanup_free_ char *keys = profile_path("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    _cleanup_free_ char *config = profile_path("AWS_CONFIG_FILE", "config");
    char *value = profile_read(keys, profile, setting);
    return value ? value : profile_read(config, profile, setting);
}
