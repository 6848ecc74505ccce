/* The image models of one process: each loaded at first use, with a set of LoRAs merged into its weights, and kept as
 * long as the memory allows. What a set's LoRAs do not touch (tokenizers, the VAE's decoder, often the text encoders)
 * it shares with the other sets of its model. A merge begins at the file's own weights, always: nothing of one set is
 * ever in another. One thread at a time. */
#pragma once

#include "base/json.h"
#include "model/enhance.h"
#include "picture/picture.h"

struct painters;

struct painters_options {
    const char *manifests, *directory; /* of the zoo: the shipped manifests; weights, and manifests of added models */
    const char *cache_directory;       /* of optimised graphs; NULL: none are kept */
    const char *enhancer;              /* its name in the zoo; NULL: the zoo's usual one */
    struct device device;
    int64_t memory_mb; /* of the sets that are kept; 0: asks the card, or the machine */
    int sharers;       /* processes on the device that keep sets, which share what it has; 0: this one alone */
};

/* Opens the zoo, and loads nothing. io, json.invalid, model.invalid. The caller closes it. */
struct painters *painters_open(const struct painters_options *options, struct error *err) must_check;
void painters_close(struct painters *painters);
DEFINE_CLEANUP(struct painters *, painters_close)
#define _cleanup_painters_ _cleanup_(painters_close_cleanup)

struct painter_lora {
    const char *name; /* of the zoo; only a label when `path` is set */
    const char *path; /* a file that was fetched; NULL: the zoo's of that name */
    float weight;     /* 0: it is looked at, and changes nothing */
};

/* The painter of `model` with these LoRAs, borrowed until the next call. `key` is what the caller calls the set: one
 * that is loaded under this key, of the same model, names and weights, is given back as it is. The sets that were not
 * used for longest are closed where the memory is too small. model.not_found, model.invalid, model.hash_mismatch,
 * scheduler.unsupported, picture.invalid for a weight that is no number, lora.unsupported, lora.no_match,
 * weights.invalid, model.device, model.run, io; model.memory says what the set needs. After a failure nothing of the
 * set is left, and others may be asked for. */
struct painter *painters_get(struct painters *painters, const char *key, const char *model,
                             const struct painter_lora *loras, size_t count, struct error *err) must_check;
bool painters_are_on_card(const struct painters *painters);
/* The network that makes pictures larger; loaded at first use and kept. Borrowed. Errors as enhance_open. */
struct enhance *painters_enhancer(struct painters *painters, struct error *err) must_check;
/* Keys of the sets that are loaded, newest first: an array of strings. New reference. */
json_t *painters_held(const struct painters *painters);
