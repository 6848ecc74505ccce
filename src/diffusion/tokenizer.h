/* CLIP's tokenizer: byte-level pair encoding as the "fast" tokenizer of Hugging Face does it (transformers,
 * convert_slow_tokenizer.py): NFC, white space made single spaces, lower case; split into contractions, runs of
 * letters, single digits and runs of anything else; each word's bytes merged by rank. The texts of special tokens are
 * ordinary text in a prompt: nobody's words end it. Only a padding other than the end is what it is in transformers, a
 * word of its own: each "!" of a prompt for SDXL's second text encoder. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

enum { TOKENIZER_LENGTH = 77 }; /* of what a text encoder takes: begin, 75 tokens, end */

struct tokenizer;

/* From a folder with vocab.json, merges.txt and tokenizer_config.json (special_tokens_map.json fills in what that does
 * not say). model.invalid names the file and what is wrong. The caller frees it with tokenizer_free. */
struct tokenizer *tokenizer_load(const char *folder, struct error *err) must_check;
void tokenizer_free(struct tokenizer *tokenizer);
DEFINE_CLEANUP(struct tokenizer *, tokenizer_free)
#define _cleanup_tokenizer_ _cleanup_(tokenizer_free_cleanup)

/* The ids that a prompt is framed with, and that of a comma, or -1. */
struct tokenizer_ids {
    int32_t begin, end, pad, comma;
};
const struct tokenizer_ids *tokenizer_ids(const struct tokenizer *tokenizer);
/* Tokens of its vocabulary. */
size_t tokenizer_size(const struct tokenizer *tokenizer);

struct token {
    int32_t id;
    float weight;
    size_t offset; /* in `normal`, where its bytes begin */
};

struct token_list {
    struct token *tokens;
    size_t count, capacity;
    struct buffer normal; /* the text as it was split */
};
void token_list_free(struct token_list *list);
#define _cleanup_token_list_ _cleanup_(token_list_free)
void token_list_append(struct token_list *list, struct token token);

/* Appends the tokens of `length` bytes of UTF-8, all of this weight. In time n log n of the length. prompt.invalid,
 * with the place, for what is no UTF-8 and for letters with over a thousand accents. */
bool tokenizer_append(const struct tokenizer *tokenizer, const char *text, size_t length, float weight,
                      struct token_list *list, struct error *err) must_check;
