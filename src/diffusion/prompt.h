/* Prompts: a text as what a text encoder takes, in chunks of 75 tokens, with a weight a token. Long prompts and weights
 * are as in stable-diffusion-webui (modules/prompt_parser.py, sd_hijack_clip.py), and only when asked for: diffusers
 * reads one chunk and takes brackets for text. */
#pragma once

#include "diffusion/tokenizer.h"

enum { PROMPT_BYTES = 1 << 20, PROMPT_CHUNKS = 16 }; /* at most */

struct prompt_options {
    /* (x) weighs 1.1, [x] the reverse, (x:1.3) 1.3, \( is a bracket, BREAK begins a chunk. A weight may be up to 10. */
    bool weighted;
    int chunks; /* at most, 1 to PROMPT_CHUNKS; of 1, what is beyond 75 tokens is cut */
};

struct prompt {
    int chunks;
    int64_t *ids;   /* [chunks][TOKENIZER_LENGTH]: begin, up to 75 tokens, end, padding; owned */
    float *weights; /* the same shape; 1 for what frames the tokens; owned */
    size_t tokens;  /* that the text has */
    size_t cut;     /* of them, that no chunk has */
    char *cut_text; /* these, in normal form; owned; NULL when there are none */
};

/* The caller frees *out with prompt_free, after a success. prompt.invalid for a text over PROMPT_BYTES, what
 * tokenizer_append refuses, over a hundred brackets in each other and weights that are no numbers or too large. */
bool prompt_encode(const struct tokenizer *tokenizer, const char *text, const struct prompt_options *options,
                   struct prompt *out, struct error *err) must_check;
/* Appends empty chunks until there are so many: a prompt and its negative need as many. */
void prompt_pad(struct prompt *prompt, const struct tokenizer *tokenizer, int chunks);
void prompt_free(struct prompt *prompt);
#define _cleanup_prompt_ _cleanup_(prompt_free)
