/* A request's head: its line, its headers one a line, as a client could have sent them. */
#include "fuzz.h"
#include "server/guard.h"

enum { HEADERS = 128 };

struct head {
    struct guard_header headers[HEADERS];
    char *lines[HEADERS + 1];
    size_t count;
};

static void check_path(const char *path) {
    ensure(path[0] == '/' && fuzz_is_utf8(path) && fuzz_is_printable(path) && !strchr(path, '\\'));
    _cleanup_free_ char *closed = xasprintf("%s/", path);
    ensure(strcmp(path, "/") == 0 || !strstr(closed, "//"));
    ensure(!strstr(closed, "/./") && !strstr(closed, "/../"));
}

static void check_target(const char *target) {
    struct error err;
    _cleanup_free_ char *path = NULL, *query = NULL;
    if (!guard_target(target, &path, &query, &err))
        return;
    check_path(path);
    ensure(strlen(path) + strlen(query) <= strlen(target));
    const char *names[] = {"a", "cursor", "limit", ""};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        _cleanup_free_ char *value = NULL;
        if (guard_parameter(query, names[i], &value, &err))
            ensure(!value || (fuzz_is_utf8(value) && fuzz_is_printable(value)));
        else
            ensure(!value && err.code == ERR_API_BAD_REQUEST);
    }
}

static void check_headers(const struct head *head) {
    struct error err;
    int64_t length = -1;
    if (!guard_headers(head->headers, head->count, &length, &err))
        return;
    size_t hosts = 0, lengths = 0;
    for (size_t i = 0; i < head->count; i++) {
        const struct guard_header *header = &head->headers[i];
        ensure(strlen(header->name) == header->name_length && strlen(header->value) == header->value_length);
        ensure(strcasecmp(header->name, "Transfer-Encoding") != 0);
        hosts += strcasecmp(header->name, "Host") == 0;
        lengths += strcasecmp(header->name, "Content-Length") == 0;
    }
    ensure(hosts == 1 && lengths <= 1 && length >= 0 && (lengths == 1 || length == 0));
}

/* Splits "Name: value"; a NUL may lie inside, as a client may send one. */
static void add_header(struct head *head, char *line, size_t length) {
    char *colon = memchr(line, ':', length);
    size_t name = colon ? (size_t)(colon - line) : length, skip = MIN(name + 1, length);
    line[name] = '\0';
    while (skip < length && line[skip] == ' ')
        skip++;
    head->headers[head->count++] = (struct guard_header){line, line + skip, name, length - skip};
}

static void check_line(char *line) {
    struct error err;
    char *rest = NULL, *method = strtok_r(line, " ", &rest), *target = strtok_r(NULL, " ", &rest);
    if (method && target && guard_line(method, target, rest ? rest : "", &err)) {
        ensure(target[0] == '/' && strlen(target) <= GUARD_TARGET_MAX);
        check_target(target);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct head head = {.count = 0};
    size_t lines = 0;
    for (size_t at = 0; at < length && head.count < HEADERS; lines++) {
        const uint8_t *end = memchr(bytes + at, '\n', length - at);
        size_t size = end ? (size_t)(end - bytes) - at : length - at;
        head.lines[lines] = fuzz_text(bytes + at, size);
        if (lines == 0)
            check_line(head.lines[0]);
        else
            add_header(&head, head.lines[lines], size);
        at += size + 1;
    }
    check_headers(&head);
    for (size_t i = 0; i < lines; i++)
        free(head.lines[i]);
    return 0;
}
