#include "diffusion/weighted_text.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { DEPTH_LIMIT = 100, NUMBER_LIMIT = 32 };
#define BRACKET_WEIGHT 1.1
#define WEIGHT_LIMIT 10.0

/* Brackets that are open, round and square ones apart: the piece that each began with. */
struct brackets {
    size_t starts[DEPTH_LIMIT];
    int depth;
    double weight; /* of a pair without a number */
};

struct weight_parser {
    struct weighted_text *out;
    struct brackets round, square;
};

static void piece_begin(struct weighted_text *out, bool is_break) {
    if (out->count == out->capacity) {
        out->capacity = MAX(16, 2 * out->capacity);
        out->pieces = xreallocarray(out->pieces, out->capacity, sizeof *out->pieces);
    }
    out->pieces[out->count++] = (struct text_piece){out->text.length, 0, 1, is_break};
}

static void piece_append(struct weighted_text *out, const char *text, size_t length) {
    piece_begin(out, false);
    buffer_append(&out->text, text, length);
    out->pieces[out->count - 1].length = length;
}

static bool bracket_open(struct weight_parser *parser, struct brackets *brackets, struct error *err) {
    if (brackets->depth == DEPTH_LIMIT)
        return error_set(err, ERR_PROMPT_INVALID, "the prompt has over %d brackets in each other", DEPTH_LIMIT);
    brackets->starts[brackets->depth++] = parser->out->count;
    return true;
}

static void bracket_close(struct weight_parser *parser, struct brackets *brackets, double weight) {
    for (size_t i = brackets->starts[--brackets->depth]; i < parser->out->count; i++)
        parser->out->pieces[i].weight *= weight;
}

/* The length of `: 1.3 )`, and the number; 0 when the text does not go on so. */
static size_t weight_length(const char *text, char number[NUMBER_LIMIT]) {
    size_t start = 1 + strspn(text + 1, " \t\n\v\f\r");
    size_t end = start + (text[start] == '+' || text[start] == '-');
    size_t digits = strspn(text + end, ".0123456789");
    end += digits;
    size_t close = end + strspn(text + end, " \t\n\v\f\r");
    if (digits == 0 || text[close] != ')')
        return 0;
    snprintf(number, NUMBER_LIMIT, "%.*s", (int)MIN(end - start, NUMBER_LIMIT), text + start);
    return close + 1;
}

static bool read_weight(const char *number, double *weight, struct error *err) {
    char *end;
    *weight = strtod(number, &end);
    return *end == '\0' || error_set(err, ERR_PROMPT_INVALID, "the prompt's weight \"%s\" is no number", number);
}

static bool is_word_byte(char c) { return isalnum((unsigned char)c) || c == '_' || (c & 0x80); }

/* The next BREAK that is a word of its own; NULL when there is none before `end`. */
static const char *find_break(const char *start, const char *from, const char *end) {
    static const char word[] = "BREAK";
    enum { LENGTH = sizeof word - 1 };
    for (const char *at = from; (at = memmem(at, (size_t)(end - at), word, LENGTH)); at++)
        if ((at == start || !is_word_byte(at[-1])) && (at + LENGTH == end || !is_word_byte(at[LENGTH])))
            return at;
    return NULL;
}

/* Text without brackets and colons, which BREAKs divide; these take the white space around them. */
static void append_run(struct weighted_text *out, const char *start, size_t length) {
    const char *from = start, *end = start + length, *found;
    while ((found = find_break(start, from, end))) {
        const char *before = found;
        while (before > from && isspace((unsigned char)before[-1]))
            before--;
        piece_append(out, from, (size_t)(before - from));
        piece_begin(out, true);
        for (from = found + strlen("BREAK"); from < end && isspace((unsigned char)*from);)
            from++;
    }
    piece_append(out, from, (size_t)(end - from));
}

/* Reads one element of the syntax and moves *text behind it. */
static bool parse_element(struct weight_parser *parser, const char **text, struct error *err) {
    const char *at = *text;
    char number[NUMBER_LIMIT];
    size_t length = *at == ':' ? weight_length(at, number) : 0;
    double weight;
    *text += length > 0 ? length : 1;
    if (*at == '\\') { /* the next one stands for itself; before a letter the backslash is dropped */
        bool escapes = at[1] && strchr("\\()[]", at[1]);
        piece_append(parser->out, at + 1, escapes);
        *text += escapes;
    } else if (*at == '(' || *at == '[') {
        return bracket_open(parser, *at == '(' ? &parser->round : &parser->square, err);
    } else if (length > 0 && parser->round.depth > 0) {
        if (!read_weight(number, &weight, err))
            return false;
        bracket_close(parser, &parser->round, weight);
    } else if (*at == ')' && parser->round.depth > 0) {
        bracket_close(parser, &parser->round, parser->round.weight);
    } else if (*at == ']' && parser->square.depth > 0) {
        bracket_close(parser, &parser->square, parser->square.weight);
    } else {
        if (!strchr(":)]", *at))
            *text = at + strcspn(at, "\\()[]:");
        append_run(parser->out, at, (size_t)(*text - at));
    }
    return true;
}

/* Neighbours of one weight are one text, so that words do not end where a bracket was escaped. */
static bool finish_pieces(struct weighted_text *out, struct error *err) {
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++) {
        struct text_piece *piece = &out->pieces[i], *before = kept > 0 ? &out->pieces[kept - 1] : NULL;
        if (!piece->is_break && !(fabs(piece->weight) <= WEIGHT_LIMIT)) /* no number is neither */
            return error_set(err, ERR_PROMPT_INVALID, "the prompt's weight %g is beyond %g", piece->weight,
                             WEIGHT_LIMIT);
        if (before && !before->is_break && !piece->is_break && before->weight == piece->weight)
            before->length += piece->length;
        else
            out->pieces[kept++] = *piece;
    }
    out->count = kept;
    return true;
}

bool weighted_text_parse(const char *text, struct weighted_text *out, struct error *err) {
    struct weight_parser parser = {out, {.weight = BRACKET_WEIGHT}, {.weight = 1 / BRACKET_WEIGHT}};
    while (*text)
        if (!parse_element(&parser, &text, err))
            return false;
    while (parser.round.depth > 0)
        bracket_close(&parser, &parser.round, parser.round.weight);
    while (parser.square.depth > 0)
        bracket_close(&parser, &parser.square, parser.square.weight);
    return finish_pieces(out, err);
}

void weighted_text_plain(const char *text, struct weighted_text *out) { piece_append(out, text, strlen(text)); }

void weighted_text_free(struct weighted_text *text) {
    free(text->pieces);
    buffer_free(&text->text);
    *text = (struct weighted_text){0};
}
