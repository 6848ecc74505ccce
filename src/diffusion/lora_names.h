/* Inside the diffusion room only: what files call a module. */
#pragma once

#include <jansson.h>

#include "diffusion/lora.h"

/* The part of a LoRA that a tensor is. */
enum lora_part { LORA_DOWN, LORA_UP, LORA_ALPHA, LORA_PARTS };

/* Splits a tensor's name: the length of the module's name, and the part; 0 when it is no part of a LoRA. */
size_t lora_split_name(const char *name, enum lora_part *part);
/* What a tensor of this name is, if not of a plain LoRA: "LoHa", ...; NULL when it may be one. Static. */
const char *lora_other_kind(const char *name);
/* Adds to `names` (name: index) all names that files have for the modules. */
void lora_fill_names(const struct lora_module *modules, size_t count, json_t *names);
