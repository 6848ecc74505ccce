#include "diffusion/tokenizer.h"

#include <string.h>
#include <utf8proc.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

enum {
    FILE_LIMIT = 16 << 20,
    ID_LIMIT = 1 << 20,
    MARKS_LIMIT = 1000, /* accents in a row: utf8proc sorts them in quadratic time */
};

/* Two neighbouring symbols become one; an entry of an open hash table, empty where rank is 0. */
struct merge {
    int32_t left, right, merged, rank;
};

struct tokenizer {
    struct tokenizer_ids ids;
    char *pad_text;       /* owned; NULL: it pads with the end */
    int32_t byte[2][256]; /* symbols of single bytes: inside a word, and at its end */
    struct merge *merges; /* owned */
    size_t slots;         /* a power of two, at least twice the merges */
    size_t size;          /* of the vocabulary */
};

/* --- merges --- */

static struct merge *merge_slot(const struct tokenizer *tokenizer, int32_t left, int32_t right) {
    uint64_t hash = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9e3779b97f4a7c15U;
    for (size_t at = hash >> 32;; at++) {
        struct merge *merge = &tokenizer->merges[at & (tokenizer->slots - 1)];
        if (merge->rank == 0 || (merge->left == left && merge->right == right))
            return merge;
    }
}

/* --- loading --- */

static int32_t vocabulary_id(const json_t *vocabulary, const char *token) {
    json_int_t id = json_get_integer(vocabulary, token, -1);
    return id >= 0 && id < ID_LIMIT ? (int32_t)id : -1;
}

/* Bytes are written as characters: those that print as themselves, the other 68 from U+0100 on, in order. */
static bool prints_itself(int byte) {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
}

static bool read_bytes(struct tokenizer *tokenizer, const json_t *vocabulary, struct error *err) {
    static const char *const ends[2] = {"", "</w>"};
    for (int byte = 0, others = 0; byte < 256; byte++) {
        utf8proc_uint8_t character[5] = {0};
        utf8proc_encode_char(prints_itself(byte) ? byte : 256 + others++, character);
        for (int i = 0; i < 2; i++) {
            _cleanup_free_ char *token = xasprintf("%s%s", (char *)character, ends[i]);
            tokenizer->byte[i][byte] = vocabulary_id(vocabulary, token);
            if (tokenizer->byte[i][byte] < 0)
                return error_set(err, ERR_MODEL_INVALID, "the vocabulary lacks the token \"%s\"", token);
        }
    }
    return true;
}

static bool read_merge(struct tokenizer *tokenizer, const json_t *vocabulary, char *line, int32_t rank,
                       struct error *err) {
    char *space = strchr(line, ' ');
    if (!space || space == line || strchr(space + 1, ' '))
        return error_set(err, ERR_MODEL_INVALID, "merges.txt: merge %d is not two symbols", rank);
    *space = '\0';
    _cleanup_free_ char *both = xasprintf("%s%s", line, space + 1);
    struct merge merge = {vocabulary_id(vocabulary, line), vocabulary_id(vocabulary, space + 1),
                          vocabulary_id(vocabulary, both), rank};
    if (merge.left < 0 || merge.right < 0 || merge.merged < 0)
        return error_set(err, ERR_MODEL_INVALID, "merges.txt: merge %d is not in the vocabulary", rank);
    struct merge *slot = merge_slot(tokenizer, merge.left, merge.right);
    if (slot->rank != 0)
        return error_set(err, ERR_MODEL_INVALID, "merges.txt: merge %d is there twice", rank);
    *slot = merge;
    return true;
}

static size_t count_lines(const struct buffer *text) {
    size_t lines = 1;
    for (size_t i = 0; i < text->length; i++)
        lines += text->data[i] == '\n';
    return lines;
}

static bool read_merges(struct tokenizer *tokenizer, const json_t *vocabulary, struct buffer *text, struct error *err) {
    for (tokenizer->slots = 2; tokenizer->slots < 2 * count_lines(text);)
        tokenizer->slots *= 2;
    tokenizer->merges = xnew_array(struct merge, tokenizer->slots);
    int32_t rank = 1;
    char *rest = text->data, *line;
    while ((line = strsep(&rest, "\n"))) {
        line[strcspn(line, "\r")] = '\0';
        if (*line && strncmp(line, "#version", 8) != 0 && !read_merge(tokenizer, vocabulary, line, rank++, err))
            return false;
    }
    return true;
}

static bool read_file_of(const char *folder, const char *name, struct buffer *out, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
    buffer_append(out, "", 0); /* of an empty file there is a text too */
    return file_read(path, FILE_LIMIT, out, err);
}

static json_t *read_json_of(const char *folder, const char *name, struct error *err) {
    _cleanup_buffer_ struct buffer text = {0};
    if (!read_file_of(folder, name, &text, err))
        return NULL;
    _cleanup_json_ json_t *json = json_parse(text.data, text.length, err);
    if (json_is_object(json))
        return steal(json);
    error_set(err, ERR_MODEL_INVALID, "%s is not a JSON object", name);
    return NULL;
}

/* A special token is a text, or an object with the text as "content". */
static const char *special_text(const json_t *config, const char *key, const char *fallback) {
    const json_t *value = json_object_get(config, key);
    return json_is_string(value) ? json_string_value(value) : json_get_string(value, "content", fallback);
}

/* A padding that has a use of its own is a word wherever it stands in a text: SDXL's second tokenizer pads with "!". */
static void keep_pad_text(struct tokenizer *tokenizer, const char *text) {
    if (tokenizer->ids.pad != tokenizer->ids.end)
        tokenizer->pad_text = xstrdup(text);
}

static bool read_specials(struct tokenizer *tokenizer, const json_t *vocabulary, const json_t *config,
                          const json_t *map, struct error *err) {
    const struct {
        const char *key, *usual;
        int32_t *id;
    } specials[] = {{"bos_token", "<|startoftext|>", &tokenizer->ids.begin},
                    {"eos_token", "<|endoftext|>", &tokenizer->ids.end},
                    {"pad_token", "<|endoftext|>", &tokenizer->ids.pad}};
    for (size_t i = 0; i < ARRAY_LENGTH(specials); i++) {
        const char *text = special_text(config, specials[i].key, special_text(map, specials[i].key, specials[i].usual));
        *specials[i].id = vocabulary_id(vocabulary, text);
        if (*specials[i].id < 0)
            return error_set(err, ERR_MODEL_INVALID, "the %s \"%s\" is not in the vocabulary", specials[i].key, text);
        if (specials[i].id == &tokenizer->ids.pad)
            keep_pad_text(tokenizer, text);
    }
    tokenizer->ids.comma = vocabulary_id(vocabulary, ",</w>");
    json_int_t length = json_get_integer(config, "model_max_length", -1);
    return length == TOKENIZER_LENGTH ||
           error_set(err, ERR_MODEL_INVALID, "\"model_max_length\" of tokenizer_config.json must be %d",
                     TOKENIZER_LENGTH);
}

static bool tokenizer_read(struct tokenizer *tokenizer, const char *folder, struct error *err) {
    struct error no_map;
    _cleanup_buffer_ struct buffer merges = {0};
    _cleanup_json_ json_t *vocabulary = read_json_of(folder, "vocab.json", err);
    _cleanup_json_ json_t *config = vocabulary ? read_json_of(folder, "tokenizer_config.json", err) : NULL;
    _cleanup_json_ json_t *map = read_json_of(folder, "special_tokens_map.json", &no_map);
    tokenizer->size = json_object_size(vocabulary);
    return config && read_file_of(folder, "merges.txt", &merges, err) && read_bytes(tokenizer, vocabulary, err) &&
           read_merges(tokenizer, vocabulary, &merges, err) && read_specials(tokenizer, vocabulary, config, map, err);
}

struct tokenizer *tokenizer_load(const char *folder, struct error *err) {
    _cleanup_tokenizer_ struct tokenizer *tokenizer = xnew(struct tokenizer);
    if (tokenizer_read(tokenizer, folder, err))
        return steal(tokenizer);
    error_wrap(err, "%s", folder);
    return NULL;
}

void tokenizer_free(struct tokenizer *tokenizer) {
    free(tokenizer->merges);
    free(tokenizer->pad_text);
    free(tokenizer);
}

const struct tokenizer_ids *tokenizer_ids(const struct tokenizer *tokenizer) { return &tokenizer->ids; }
size_t tokenizer_size(const struct tokenizer *tokenizer) { return tokenizer->size; }

/* --- lists --- */

void token_list_free(struct token_list *list) {
    free(list->tokens);
    buffer_free(&list->normal);
    *list = (struct token_list){0};
}

void token_list_append(struct token_list *list, struct token token) {
    if (list->count == list->capacity) {
        list->capacity = MAX(64, 2 * list->capacity);
        list->tokens = xreallocarray(list->tokens, list->capacity, sizeof token);
    }
    list->tokens[list->count++] = token;
}

/* --- one word: the pair of the lowest rank is merged, the leftmost of several, until there is none --- */

struct symbol {
    int32_t id; /* -1: merged into the one before */
    uint32_t previous, next;
};

/* Pairs that can be merged, lowest rank first: rank << 32 | place of the left symbol; a binary heap. */
struct pair_heap {
    uint64_t *pairs;
    size_t count;
};

static void pairs_push(struct pair_heap *heap, uint64_t pair) {
    size_t at = heap->count++;
    for (; at > 0 && heap->pairs[(at - 1) / 2] > pair; at = (at - 1) / 2)
        heap->pairs[at] = heap->pairs[(at - 1) / 2];
    heap->pairs[at] = pair;
}

static uint64_t pairs_pop(struct pair_heap *heap) {
    uint64_t top = heap->pairs[0], last = heap->pairs[--heap->count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < heap->count; at = child) {
        child += child + 1 < heap->count && heap->pairs[child + 1] < heap->pairs[child];
        if (heap->pairs[child] >= last)
            break;
        heap->pairs[at] = heap->pairs[child];
    }
    heap->pairs[at] = last;
    return top;
}

struct word {
    const struct tokenizer *tokenizer;
    struct symbol *symbols;
    uint32_t length;
    struct pair_heap heap;
};

/* The merge of the symbol at a place and the next one; NULL when there is none. */
static const struct merge *word_merge(const struct word *word, uint32_t at) {
    const struct symbol *left = &word->symbols[at];
    if (left->id < 0 || left->next >= word->length)
        return NULL;
    const struct merge *merge = merge_slot(word->tokenizer, left->id, word->symbols[left->next].id);
    return merge->rank > 0 ? merge : NULL;
}

static void word_offer(struct word *word, uint32_t at) {
    const struct merge *merge = word_merge(word, at);
    if (merge)
        pairs_push(&word->heap, (uint64_t)merge->rank << 32 | at);
}

static void word_join(struct word *word, uint32_t at, int32_t merged) {
    struct symbol *left = &word->symbols[at], *right = &word->symbols[left->next];
    left->id = merged;
    left->next = right->next;
    right->id = -1;
    if (left->next < word->length)
        word->symbols[left->next].previous = at;
    word_offer(word, at);
    if (at > 0)
        word_offer(word, left->previous);
}

static void append_word(const struct tokenizer *tokenizer, size_t offset, size_t length, float weight,
                        struct token_list *list) {
    /* Each place is offered once, and each join offers two more. */
    _cleanup_free_ struct symbol *symbols = xnew_array(struct symbol, length);
    _cleanup_free_ uint64_t *pairs = xnew_array(uint64_t, 3 * length);
    struct word word = {tokenizer, symbols, (uint32_t)length, {pairs, 0}};
    const unsigned char *bytes = (const unsigned char *)list->normal.data + offset;
    for (uint32_t i = 0; i < length; i++)
        symbols[i] = (struct symbol){tokenizer->byte[i + 1 == length][bytes[i]], i - 1, i + 1};
    for (uint32_t i = 0; i < length; i++)
        word_offer(&word, i);
    while (word.heap.count > 0) {
        uint64_t pair = pairs_pop(&word.heap);
        const struct merge *merge = word_merge(&word, (uint32_t)pair);
        if (merge && (uint64_t)merge->rank == pair >> 32) /* else one of the two has been merged since */
            word_join(&word, (uint32_t)pair, merge->merged);
    }
    for (uint32_t i = 0; i < length; i = symbols[i].next)
        token_list_append(list, (struct token){symbols[i].id, weight, offset + i});
}

/* --- texts: normal form, then words --- */

enum letter { LETTER, DIGIT, SPACE, OTHER };

static bool is_white_space(utf8proc_int32_t c) {
    return (c >= 9 && c <= 13) || c == 0x85 || utf8proc_category(c) == UTF8PROC_CATEGORY_ZS ||
           utf8proc_category(c) == UTF8PROC_CATEGORY_ZL || utf8proc_category(c) == UTF8PROC_CATEGORY_ZP;
}

static enum letter letter_of(utf8proc_int32_t c) {
    utf8proc_category_t category = utf8proc_category(c);
    if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO)
        return LETTER;
    if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO)
        return DIGIT;
    return is_white_space(c) ? SPACE : OTHER;
}

/* What utf8proc may be given. */
static bool check_text(const char *text, size_t length, struct error *err) {
    int marks = 0;
    for (size_t at = 0; at < length;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t size =
            utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(length - at), &c);
        if (size <= 0)
            return error_set(err, ERR_PROMPT_INVALID, "the prompt is not UTF-8 at byte %zu", at);
        marks = utf8proc_get_property(c)->combining_class > 0 ? marks + 1 : 0;
        if (marks > MARKS_LIMIT)
            return error_set(err, ERR_PROMPT_INVALID, "the prompt has over %d accents on one letter at byte %zu",
                             MARKS_LIMIT, at);
        at += (size_t)size;
    }
    return true;
}

static void append_character(struct buffer *out, utf8proc_int32_t c) {
    utf8proc_uint8_t bytes[4];
    buffer_append(out, bytes, (size_t)utf8proc_encode_char(c, bytes));
}

/* Lower case character by character, whatever stands around it; one capital's small letter is two characters. */
static void append_lower(struct buffer *out, utf8proc_int32_t c) {
    append_character(out, utf8proc_tolower(c));
    if (c == 0x130)
        append_character(out, 0x307);
}

/* Appends NFC in lower case, each run of white space as one space, to `out`. */
static bool append_normal(const char *text, size_t length, struct buffer *out, struct error *err) {
    _cleanup_free_ utf8proc_uint8_t *composed = NULL;
    utf8proc_ssize_t size = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)length, &composed,
                                         UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (size < 0)
        return error_set(err, ERR_PROMPT_INVALID, "the prompt cannot be read: %s", utf8proc_errmsg(size));
    bool after_space = false;
    for (utf8proc_ssize_t at = 0; at < size;) {
        utf8proc_int32_t c;
        at += utf8proc_iterate(composed + at, size - at, &c);
        bool space = is_white_space(c);
        if (space && !after_space)
            buffer_append(out, " ", 1);
        else if (!space)
            append_lower(out, c);
        after_space = space;
    }
    return true;
}

static size_t contraction_length(const char *text) {
    static const char *const contractions[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; *text == '\'' && i < ARRAY_LENGTH(contractions); i++)
        if (strncmp(text, contractions[i], strlen(contractions[i])) == 0)
            return strlen(contractions[i]);
    return 0;
}

static size_t pad_length(const struct tokenizer *tokenizer, const char *text) {
    size_t length = tokenizer->pad_text ? strlen(tokenizer->pad_text) : 0;
    return length > 0 && strncmp(text, tokenizer->pad_text, length) == 0 ? length : 0;
}

/* The length of the word at `at`: a contraction, a digit, or a run of one sort. */
static size_t word_length(const struct tokenizer *tokenizer, const struct buffer *text, size_t at, enum letter *sort) {
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text->data;
    utf8proc_int32_t c;
    size_t end = at + (size_t)utf8proc_iterate(bytes + at, (utf8proc_ssize_t)(text->length - at), &c);
    *sort = letter_of(c);
    size_t contraction = contraction_length(text->data + at);
    if (contraction > 0)
        return contraction;
    while ((*sort == LETTER || *sort == OTHER) && end < text->length) {
        utf8proc_ssize_t size = utf8proc_iterate(bytes + end, (utf8proc_ssize_t)(text->length - end), &c);
        if (letter_of(c) != *sort || pad_length(tokenizer, text->data + end) > 0)
            break;
        end += (size_t)size;
    }
    return end - at;
}

bool tokenizer_append(const struct tokenizer *tokenizer, const char *text, size_t length, float weight,
                      struct token_list *list, struct error *err) {
    size_t at = list->normal.length;
    if (!check_text(text, length, err) || !append_normal(text, length, &list->normal, err))
        return false;
    while (at < list->normal.length) {
        enum letter sort;
        size_t pad = pad_length(tokenizer, list->normal.data + at);
        size_t word = pad > 0 ? pad : word_length(tokenizer, &list->normal, at, &sort);
        if (pad > 0)
            token_list_append(list, (struct token){tokenizer->ids.pad, weight, at});
        else if (sort != SPACE)
            append_word(tokenizer, at, word, weight, list);
        at += word;
    }
    return true;
}
