#include "server/guard.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"

#define refuse(err, ...) error_set(err, ERR_API_BAD_REQUEST, __VA_ARGS__)

/* RFC 9110, 5.6.2. */
static bool is_token(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && (text[i] == '\0' || !strchr("!#$%&'*+-.^_`|~", text[i])))
            return false;
    return length > 0;
}

bool guard_line(const char *method, const char *target, const char *version, struct error *err) {
    if (!is_token(method, strlen(method)) || strlen(method) > 16)
        return refuse(err, "the request's method is malformed");
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return refuse(err, "the protocol version is not HTTP/1.1");
    if (target[0] != '/')
        return refuse(err, "the request's target must be a path that begins with /");
    if (strlen(target) > GUARD_TARGET_MAX)
        return refuse(err, "the request's path and query are longer than %d bytes", GUARD_TARGET_MAX);
    return true;
}

static bool header_is(const struct guard_header *header, const char *name) {
    return strcasecmp(header->name, name) == 0;
}

static bool header_is_clean(const struct guard_header *header) {
    for (size_t i = 0; i < header->value_length; i++) {
        unsigned char c = (unsigned char)header->value[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return is_token(header->name, header->name_length);
}

static bool length_parse(const struct guard_header *header, int64_t *out) {
    enum { DIGITS_MAX = 18 }; /* what surely fits into 63 bits */
    if (header->value_length == 0 || header->value_length > DIGITS_MAX)
        return false;
    *out = 0;
    for (size_t i = 0; i < header->value_length; i++) {
        if (!isdigit((unsigned char)header->value[i]))
            return false;
        *out = *out * 10 + (header->value[i] - '0');
    }
    return true;
}

bool guard_headers(const struct guard_header *headers, size_t count, int64_t *content_length, struct error *err) {
    size_t bytes = 0, hosts = 0, lengths = 0, authorizations = 0;
    *content_length = 0;
    if (count > GUARD_HEADERS_MAX)
        return refuse(err, "the request has more than %d headers", GUARD_HEADERS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct guard_header *header = &headers[i];
        bytes += header->name_length + header->value_length;
        if (!header_is_clean(header))
            return refuse(err, "header %zu has a malformed name or control characters in its value", i + 1);
        if (header_is(header, "Transfer-Encoding"))
            return refuse(err, "Transfer-Encoding is not accepted: send the body with a Content-Length");
        if (header_is(header, "Content-Length") && (lengths++ || !length_parse(header, content_length)))
            return refuse(err, "the request needs exactly one Content-Length, a decimal number");
        authorizations += header_is(header, "Authorization");
        if (header_is(header, "Host") && (hosts++ > 0 || header->value_length == 0 || strpbrk(header->value, " \t,/@")))
            return refuse(err, "the request needs exactly one valid Host header");
    }
    if (bytes > GUARD_HEADER_BYTES_MAX)
        return refuse(err, "the request's headers are larger than %d bytes", GUARD_HEADER_BYTES_MAX);
    if (hosts == 0)
        return refuse(err, "the request has no Host header");
    if (authorizations > 1)
        return refuse(err, "the request has more than one Authorization header");
    return true;
}

static int hex_value(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes percent signs once; NULL when one is malformed or stands for a control character. */
static char *percent_decode(const char *text, size_t length, bool plus_is_space) {
    _cleanup_free_ char *out = xcalloc(length + 1, 1);
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            int high = i + 1 < length ? hex_value(text[i + 1]) : -1, low = i + 2 < length ? hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return NULL;
            c = high * 16 + low;
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c < ' ' || c == 0x7f)
            return NULL;
        out[used++] = (char)c;
    }
    return steal(out);
}

/* Length of the UTF-8 sequence that starts here, 0 when it is none (RFC 3629). */
static size_t utf8_length(const unsigned char *s) {
    size_t length = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : 4;
    if (length == 4 && (s[0] < 0xf0 || s[0] > 0xf4))
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool outside = (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf4 && s[1] >= 0x90);
    return overlong || outside ? 0 : length;
}

static bool is_utf8(const char *text) {
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t length = utf8_length(s);
        if (length == 0)
            return false;
        s += length;
    }
    return true;
}

static bool components_are_plain(const char *path) {
    for (const char *component = path + 1;; component++) {
        size_t length = strcspn(component, "/");
        if ((length == 0 && strcmp(path, "/") != 0) || (length == 1 && component[0] == '.') ||
            (length == 2 && component[0] == '.' && component[1] == '.'))
            return false;
        component += length;
        if (!*component)
            return true;
    }
}

bool guard_target(const char *target, char **path, char **query, struct error *err) {
    size_t length = strcspn(target, "?");
    _cleanup_free_ char *decoded = percent_decode(target, length, false);
    if (!decoded || !is_utf8(decoded) || strchr(decoded, '\\'))
        return refuse(err, "the path is not valid percent-encoded UTF-8 text");
    if (decoded[0] != '/' || !components_are_plain(decoded))
        return refuse(err, "the path has an empty, \".\" or \"..\" component");
    *path = steal(decoded);
    *query = xstrdup(target[length] ? target + length + 1 : "");
    return true;
}

/* Where the string that begins behind text[start] ends: at its closing quote, or the end. */
static size_t json_string_end(const char *text, size_t length, size_t start) {
    for (; start < length && text[start] != '"'; start++)
        start += text[start] == '\\';
    return start;
}

bool guard_json(const char *text, size_t length, size_t most, struct error *err) {
    size_t values = 1;
    int depth = 0;
    for (size_t i = 0; i < length; i++) {
        bool opens = text[i] == '[' || text[i] == '{';
        if (text[i] == '"') { /* which may have no end: then i is behind the text, and is not looked at */
            i = json_string_end(text, length, i + 1);
            continue;
        }
        depth += opens;
        depth -= text[i] == ']' || text[i] == '}';
        values += opens || text[i] == ',';
        if (depth > GUARD_JSON_DEPTH_MAX)
            return refuse(err, "the body is nested deeper than %d levels", GUARD_JSON_DEPTH_MAX);
    }
    return values <= most || refuse(err, "the body has about %zu values; at most %zu are taken", values, most);
}

/* True when the word is one of those in `words`, which have spaces between them. */
static bool is_listed(const char *words, const char *word, size_t length) {
    for (; *words; words += strcspn(words, " "), words += *words == ' ')
        if (strcspn(words, " ") == length && memcmp(words, word, length) == 0)
            return true;
    return false;
}

bool guard_query(const char *query, const char *known, struct error *err) {
    for (const char *pair = query; *pair; pair += *pair == '&') {
        size_t length = strcspn(pair, "&"), name_length = MIN(strcspn(pair, "="), length);
        if (length > 0 && !is_listed(known ? known : "", pair, name_length))
            return refuse(err, "this path takes no query parameter \"%.*s\"%s%s", (int)MIN(name_length, (size_t)50),
                          pair, known ? ", but " : "", known ? known : "");
        pair += length;
    }
    return true;
}

bool guard_parameter(const char *query, const char *name, char **value, struct error *err) {
    *value = NULL;
    for (const char *pair = query; *pair; pair += *pair == '&') {
        size_t length = strcspn(pair, "&"), name_length = MIN(strcspn(pair, "="), length);
        if (name_length == strlen(name) && memcmp(pair, name, name_length) == 0) {
            size_t skip = MIN(name_length + 1, length);
            char *decoded = *value ? NULL : percent_decode(pair + skip, length - skip, true);
            if (!decoded || !is_utf8(decoded)) {
                free(decoded);
                free(steal(*value));
                return refuse(err, "the query parameter %s is malformed or given twice", name);
            }
            *value = decoded;
        }
        pair += length;
    }
    return true;
}
