#include "cli/campaign/prompts.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"

enum { FILE_MAX = 64 << 20, PROBLEMS_MAX = 100 };

/* ---- values ---- */

/* The text as a number if it is one, else as it is; NULL when it is not UTF-8. */
static json_t *number_or_text(const char *text, bool whole) {
    char *end;
    long long integer = strtoll(text, &end, 10);
    if (whole && end != text && *end == '\0')
        return json_integer(integer);
    double number = strtod(text, &end);
    return !whole && end != text && *end == '\0' && number - number == 0 ? json_real(number) : json_string(text);
}

/* A name that the zoo could have, of a file's. Caller frees. */
static char *lora_name(const char *file) {
    static const char ending[] = ".safetensors";
    const char *slash = strrchr(file, '/'), *start = slash ? slash + 1 : file;
    start += strncmp(start, "sha256:", 7) == 0 ? 7 : 0;
    size_t length = MIN(strlen(start), (size_t)64), tail = sizeof ending - 1;
    if (length > tail && strcmp(start + length - tail, ending) == 0)
        length -= tail;
    char *name = xstrndup(start, length);
    for (char *c = name; *c; c++)
        *c = isalnum((unsigned char)*c) || *c == '.' || *c == '_' ? (char)tolower((unsigned char)*c) : '-';
    return name;
}

json_t *lora_from_text(const char *text, size_t length) {
    _cleanup_free_ char *what = xstrndup(text, length);
    char *colon = strrchr(what, ':');
    bool hash_only = colon == what + 6 && strncmp(what, "sha256", 6) == 0;
    _cleanup_json_ json_t *weight = NULL;
    if (colon && !hash_only && strncmp(colon, "://", 3) != 0) {
        weight = number_or_text(colon + 1, false);
        *colon = '\0';
    }
    bool is_file = strchr(what, '/') || strncmp(what, "sha256:", 7) == 0 || strstr(what, ".safetensors");
    _cleanup_free_ char *name = is_file ? lora_name(what) : xstrdup(what);
    return json_pack("{s:s,s:s*,s:O*}", "name", name, "file", is_file ? what : NULL, "weight", weight);
}

static json_t *loras_from_text(const char *text) {
    json_t *loras = json_array();
    for (const char *word = text + strspn(text, " "); *word; word += strspn(word, " ")) {
        size_t length = strcspn(word, " ");
        json_array_append_new(loras, lora_from_text(word, length));
        word += length;
    }
    return loras;
}

static json_t *truth_or_text(const char *text) {
    if (strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0)
        return json_boolean(strcasecmp(text, "true") == 0);
    return json_string(text);
}

/* ---- what all forms share ---- */

static void prompts_add_problem(struct prompts *prompts, int line, const char *message) {
    _cleanup_free_ char *where = xasprintf("%s:%d", prompts->path, line);
    if (json_array_size(prompts->problems) < PROBLEMS_MAX)
        json_array_append_new(prompts->problems, json_pack("{s:s,s:s}", "path", where, "message", message));
}

/* Steals the prompt; NULL: it could not be read, and why was said. */
static void prompts_add(struct prompts *prompts, int line, json_t *prompt) {
    if (!prompt)
        return;
    json_array_append_new(prompts->list, prompt);
    json_array_append_new(prompts->lines, json_integer(line));
}

static json_t *text_or_problem(struct prompts *prompts, int line, const char *text, size_t length) {
    json_t *value = json_stringn(text, length);
    if (!value)
        prompts_add_problem(prompts, line, "is not UTF-8 text");
    return value;
}

/* ---- a prompt a line ---- */

static void read_text_line(struct prompts *prompts, int line, const char *text, size_t length) {
    json_t *value = text_or_problem(prompts, line, text, length);
    prompts_add(prompts, line, value ? json_pack("{s:o}", "prompt", value) : NULL);
}

static void read_json_line(struct prompts *prompts, int line, const char *text, size_t length) {
    struct error err;
    json_t *value = json_parse(text, length, &err);
    if (!value) { /* its own message says line 1, whichever it is */
        const char *why = strstr(err.message, ": ");
        _cleanup_free_ char *message = xasprintf("is not valid JSON%s", why ? why : "");
        prompts_add_problem(prompts, line, message);
    }
    prompts_add(prompts, line, value);
}

static void read_lines(struct prompts *prompts, const char *text, size_t length,
                       void (*read)(struct prompts *prompts, int line, const char *text, size_t length)) {
    const char *end = text + length;
    for (int line = 1; text < end; line++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;
        size_t size = (size_t)(stop - text);
        size -= size > 0 && text[size - 1] == '\r';
        if (size > 0)
            read(prompts, line, text, size);
        text = stop + 1;
    }
}

/* ---- CSV, as RFC 4180 has it ---- */

struct csv {
    struct prompts *prompts;
    const char *at, *end;
    int line;
};

static bool csv_is_at(const struct csv *csv, const char *characters) {
    return csv->at < csv->end && *csv->at && strchr(characters, *csv->at);
}

static void csv_read_quoted(struct csv *csv, struct buffer *out) {
    int line = csv->line;
    for (csv->at++; csv->at < csv->end; csv->at++) {
        if (*csv->at == '"' && (csv->at + 1 == csv->end || csv->at[1] != '"'))
            break;
        csv->at += *csv->at == '"'; /* two stand for one */
        csv->line += *csv->at == '\n';
        buffer_append(out, csv->at, 1);
    }
    if (csv->at++ >= csv->end) {
        csv->at = csv->end;
        prompts_add_problem(csv->prompts, line, "has a quote that is not closed");
    } else if (csv->at < csv->end && !csv_is_at(csv, ",\r\n")) {
        prompts_add_problem(csv->prompts, line, "has text behind a closing quote; write a quote in a field twice");
    }
}

/* A field without quotes, or what wrongly follows one with quotes. */
static void csv_read_plain(struct csv *csv, struct buffer *out) {
    for (; csv->at < csv->end && !csv_is_at(csv, ",\r\n"); csv->at++)
        buffer_append(out, csv->at, 1);
}

/* The fields of one row, texts; NULL at the end. New reference. *line: where it begins. */
static json_t *csv_read_row(struct csv *csv, int *line) {
    if (csv->at >= csv->end)
        return NULL;
    json_t *fields = json_array();
    *line = csv->line;
    for (bool more = true; more;) {
        _cleanup_buffer_ struct buffer field = {0};
        buffer_append(&field, "", 0);
        if (csv_is_at(csv, "\""))
            csv_read_quoted(csv, &field);
        csv_read_plain(csv, &field);
        json_t *text = text_or_problem(csv->prompts, csv->line, field.data, field.length);
        json_array_append_new(fields, text ? text : json_string(""));
        more = csv_is_at(csv, ",");
        csv->at += more;
    }
    csv->at += csv_is_at(csv, "\r");
    csv->at += csv_is_at(csv, "\n");
    csv->line++;
    return fields;
}

enum column_form { COLUMN_TEXT, COLUMN_WHOLE, COLUMN_NUMBER, COLUMN_TRUTH, COLUMN_LORAS };
static const struct {
    const char *name;
    enum column_form form;
} columns[] = {{"prompt", COLUMN_TEXT},    {"negative_prompt", COLUMN_TEXT}, {"seed", COLUMN_WHOLE},
               {"count", COLUMN_WHOLE},    {"width", COLUMN_WHOLE},          {"height", COLUMN_WHOLE},
               {"steps", COLUMN_WHOLE},    {"guidance", COLUMN_NUMBER},      {"rescale", COLUMN_NUMBER},
               {"scheduler", COLUMN_TEXT}, {"spacing", COLUMN_TEXT},         {"loras", COLUMN_LORAS},
               {"enhance", COLUMN_TRUTH}};

/* Its index; -1 for none. */
static int column_find(const char *name) {
    for (size_t i = 0; i < ARRAY_LENGTH(columns); i++)
        if (strcmp(columns[i].name, name) == 0)
            return (int)i;
    return -1;
}

static json_t *column_value(enum column_form form, const char *text) {
    switch (form) {
    case COLUMN_WHOLE:
    case COLUMN_NUMBER:
        return number_or_text(text, form == COLUMN_WHOLE);
    case COLUMN_TRUTH:
        return truth_or_text(text);
    case COLUMN_LORAS:
        return loras_from_text(text);
    case COLUMN_TEXT:
        break;
    }
    return json_string(text);
}

/* Whether the header names each column once, all of them known, and the prompt among them. */
static bool csv_check_header(struct csv *csv, const json_t *header, int line) {
    _cleanup_json_ json_t *seen = json_object();
    size_t i, before = json_array_size(csv->prompts->problems);
    json_t *name;
    json_array_foreach (header, i, name) {
        const char *text = json_string_value(name);
        bool known = column_find(text) >= 0;
        _cleanup_free_ char *message =
            xasprintf("names the column \"%.100s\"%s", text, known ? " twice" : ", which no prompt has");
        if (!known || json_object_get(seen, text))
            prompts_add_problem(csv->prompts, line, message);
        json_object_set_new(seen, text, json_true());
    }
    if (!json_object_get(seen, "prompt"))
        prompts_add_problem(csv->prompts, line, "is no header with a column \"prompt\"");
    return json_array_size(csv->prompts->problems) == before;
}

static json_t *csv_prompt(struct csv *csv, const json_t *header, const json_t *fields, int line) {
    size_t wanted = json_array_size(header), found = json_array_size(fields), i;
    if (wanted != found) {
        _cleanup_free_ char *message =
            xasprintf("has %zu fields, but the header %zu; a field with commas needs quotes", found, wanted);
        prompts_add_problem(csv->prompts, line, message);
        return NULL;
    }
    json_t *prompt = json_object(), *name;
    json_array_foreach (header, i, name) {
        const char *text = json_string_value(json_array_get(fields, i));
        const int column = column_find(json_string_value(name));
        if (*text)
            json_object_set_new(prompt, columns[column].name, column_value(columns[column].form, text));
    }
    return prompt;
}

static bool csv_row_is_empty(const json_t *fields) {
    return json_array_size(fields) == 1 && json_string_length(json_array_get(fields, 0)) == 0;
}

static void read_csv(struct prompts *prompts, const char *text, size_t length) {
    struct csv csv = {prompts, text, text + length, 1};
    int line = 1;
    _cleanup_json_ json_t *header = csv_read_row(&csv, &line);
    if (!csv_check_header(&csv, header, line))
        return;
    for (json_t *fields; (fields = csv_read_row(&csv, &line)); json_decref(fields))
        if (!csv_row_is_empty(fields))
            prompts_add(prompts, line, csv_prompt(&csv, header, fields, line));
}

/* ---- a file ---- */

bool prompts_read(const char *path, struct prompts *out, struct error *err) {
    bool is_stdin = strcmp(path, "-") == 0;
    const char *dot = strrchr(path, '.'), *ending = dot ? dot : "";
    *out = (struct prompts){is_stdin ? "stdin" : path, json_array(), json_array(), json_array()};
    _cleanup_buffer_ struct buffer text = {0};
    if (!file_read(is_stdin ? "/dev/stdin" : path, FILE_MAX, &text, err))
        return false;
    size_t mark = text.length >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    if (strcasecmp(ending, ".csv") == 0)
        read_csv(out, text.data + mark, text.length - mark);
    else
        read_lines(out, text.data + mark, text.length - mark,
                   strcasecmp(ending, ".jsonl") == 0 ? read_json_line : read_text_line);
    return true;
}

void prompts_clear(struct prompts *prompts) {
    json_decref(prompts->list);
    json_decref(prompts->lines);
    json_decref(prompts->problems);
}

json_t *prompts_place(const struct prompts *prompts, const json_t *problem) {
    const char *path = json_get_string(problem, "path", ""), *message = json_get_string(problem, "message", "");
    size_t number;
    int end = 0;
    if (sscanf(path, "$.images.prompts[%zu]%n", &number, &end) != 1 || end == 0)
        return json_incref((json_t *)(uintptr_t)problem);
    const json_t *line = json_array_get(prompts->lines, number);
    if (!line)
        return json_incref((json_t *)(uintptr_t)problem);
    const char *member = path + end + (path[end] == '.');
    _cleanup_free_ char *where = xasprintf("%s:%lld", prompts->path, (long long)json_integer_value(line));
    _cleanup_free_ char *what = xasprintf("%s%s%s", member, *member ? " " : "", message);
    return json_pack("{s:s,s:s}", "path", where, "message", what);
}
