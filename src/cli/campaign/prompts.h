/* Prompts and LoRAs as a user writes them, made into members of a spec. What is no number, size or weight becomes a
 * text, for which the spec's own reader has the right words. */
#pragma once

#include "base/json.h"

/* What a file of prompts holds. */
struct prompts {
    const char *path; /* borrowed */
    json_t *list;     /* prompts as a spec has them */
    json_t *lines;    /* of each, the line where it begins */
    json_t *problems; /* [{"path":"FILE:LINE","message"}...] of what cannot be read at all */
};

/* Reads it by its ending: .csv, .jsonl, else a prompt a line; "-" is stdin, a prompt a line. False with io or
 * store.too_large. prompts_clear is due in any case. */
bool prompts_read(const char *path, struct prompts *out, struct error *err) must_check;
void prompts_clear(struct prompts *prompts);
#define _cleanup_prompts_ _cleanup_(prompts_clear)

/* A problem or a warning of a spec's reader, whose path is "$.images.prompts[2].steps": the same of the file,
 * {"path":"FILE:LINE","message":"steps ..."}; as it is, when it is of no prompt. New reference. */
json_t *prompts_place(const struct prompts *prompts, const json_t *problem);

/* {"name","weight","file"} of "diwali", "diwali:0.8", or a file or URI: "./mine.safetensors:1.2". New reference. */
json_t *lora_from_text(const char *text, size_t length);
