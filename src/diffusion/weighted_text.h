/* Inside the diffusion room only: a text with weights in brackets, taken apart. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

struct text_piece {
    size_t start, length; /* in the text without its syntax */
    double weight;
    bool is_break; /* a new chunk begins; no text */
};

struct weighted_text {
    struct buffer text;
    struct text_piece *pieces;
    size_t count, capacity;
};

/* In linear time. The caller frees it with weighted_text_free, whatever happens. prompt.invalid as prompt_encode says.
 */
bool weighted_text_parse(const char *text, struct weighted_text *out, struct error *err) must_check;
/* The whole text as one piece of weight 1. */
void weighted_text_plain(const char *text, struct weighted_text *out);
void weighted_text_free(struct weighted_text *text);
#define _cleanup_weighted_text_ _cleanup_(weighted_text_free)
