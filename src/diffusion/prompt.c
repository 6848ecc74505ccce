#include "diffusion/prompt.h"

#include <string.h>

#include "base/memory.h"
#include "diffusion/weighted_text.h"

enum {
    CHUNK_TOKENS = TOKENIZER_LENGTH - 2,
    COMMA_REACH = 20, /* a chunk ends behind a comma that lies at most so many tokens back */
    BREAK_TOKEN = -1,
};

/* --- chunks: ranges of the tokens --- */

struct chunk {
    size_t begin, end;
};

struct chunk_list {
    struct chunk chunks[PROMPT_CHUNKS];
    int count, most;
    size_t begin; /* of the chunk that is open */
};

/* False once there are as many as there may be. */
static bool chunk_close(struct chunk_list *list, size_t end, size_t next) {
    if (list->count == list->most)
        return false;
    list->chunks[list->count++] = (struct chunk){list->begin, end};
    list->begin = next;
    return true;
}

static void divide(struct chunk_list *list, const struct token_list *tokens, int32_t comma) {
    size_t behind_comma = 0, at = 0; /* an earlier chunk's comma is out of reach */
    for (; at < tokens->count && list->count < list->most; at++) {
        int32_t id = tokens->tokens[at].id;
        if (id == BREAK_TOKEN) {
            chunk_close(list, at, at + 1);
            continue;
        }
        if (at - list->begin == CHUNK_TOKENS) {
            bool near_comma = list->most > 1 && id != comma && at - behind_comma < COMMA_REACH;
            chunk_close(list, near_comma ? behind_comma : at, near_comma ? behind_comma : at);
        }
        if (id == comma)
            behind_comma = at + 1;
    }
    if (at > list->begin || list->count == 0)
        chunk_close(list, at, at);
}

/* --- ids --- */

static void append_chunk(struct prompt *prompt, const struct tokenizer_ids *ids, const struct token_list *tokens,
                         struct chunk chunk) {
    size_t at = (size_t)prompt->chunks++ * TOKENIZER_LENGTH, count = chunk.end - chunk.begin;
    prompt->ids = xreallocarray(prompt->ids, at + TOKENIZER_LENGTH, sizeof *prompt->ids);
    prompt->weights = xreallocarray(prompt->weights, at + TOKENIZER_LENGTH, sizeof *prompt->weights);
    for (size_t i = 0; i < TOKENIZER_LENGTH; i++) {
        bool inside = i >= 1 && i <= count;
        int32_t frame = i == 0 ? ids->begin : i == count + 1 ? ids->end : ids->pad;
        const struct token *token = inside ? &tokens->tokens[chunk.begin + i - 1] : NULL;
        prompt->ids[at + i] = token ? token->id : frame;
        prompt->weights[at + i] = token ? token->weight : 1;
    }
}

static void count_tokens(struct prompt *prompt, const struct token_list *tokens, size_t first_cut) {
    size_t offset = 0;
    for (size_t i = tokens->count; i-- > 0;)
        if (tokens->tokens[i].id != BREAK_TOKEN) {
            prompt->tokens++;
            prompt->cut += i >= first_cut;
            offset = i >= first_cut ? tokens->tokens[i].offset : offset;
        }
    if (prompt->cut == 0)
        return;
    while (offset > 0 && (tokens->normal.data[offset] & 0xc0) == 0x80) /* a token may begin inside a character */
        offset--;
    prompt->cut_text = xstrdup(tokens->normal.data + offset);
}

static bool append_pieces(const struct tokenizer *tokenizer, const struct weighted_text *text,
                          struct token_list *tokens, struct error *err) {
    for (size_t i = 0; i < text->count; i++) {
        const struct text_piece *piece = &text->pieces[i];
        if (piece->is_break)
            token_list_append(tokens, (struct token){.id = BREAK_TOKEN});
        else if (!tokenizer_append(tokenizer, text->text.data + piece->start, piece->length, (float)piece->weight,
                                   tokens, err))
            return false;
    }
    return true;
}

bool prompt_encode(const struct tokenizer *tokenizer, const char *text, const struct prompt_options *options,
                   struct prompt *out, struct error *err) {
    _cleanup_weighted_text_ struct weighted_text parsed = {0};
    _cleanup_token_list_ struct token_list tokens = {0};
    if (strlen(text) > PROMPT_BYTES)
        return error_set(err, ERR_PROMPT_INVALID, "the prompt has %zu bytes; %d are allowed", strlen(text),
                         PROMPT_BYTES);
    if (!options->weighted)
        weighted_text_plain(text, &parsed);
    else if (!weighted_text_parse(text, &parsed, err))
        return false;
    if (!append_pieces(tokenizer, &parsed, &tokens, err))
        return false;
    const struct tokenizer_ids *ids = tokenizer_ids(tokenizer);
    struct chunk_list list = {.most = CLAMP(options->chunks, 1, PROMPT_CHUNKS)};
    divide(&list, &tokens, ids->comma);
    *out = (struct prompt){0};
    for (int i = 0; i < list.count; i++)
        append_chunk(out, ids, &tokens, list.chunks[i]);
    count_tokens(out, &tokens, list.begin);
    return true;
}

void prompt_pad(struct prompt *prompt, const struct tokenizer *tokenizer, int chunks) {
    while (prompt->chunks < chunks)
        append_chunk(prompt, tokenizer_ids(tokenizer), NULL, (struct chunk){0});
}

void prompt_free(struct prompt *prompt) {
    free(prompt->ids);
    free(prompt->weights);
    free(prompt->cut_text);
    *prompt = (struct prompt){0};
}
