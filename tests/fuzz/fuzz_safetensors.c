/* A safetensors file: every byte of its data belongs to one tensor, and what is a LoRA in it can be merged. */
#include <math.h>

#include "diffusion/lora.h"
#include "diffusion/safetensors.h"
#include "fuzz.h"

enum { ROWS = 4, COLUMNS = 6 };

static void merge(const char *path) {
    struct error err;
    static const struct lora_module modules[] = {
        {"unet.mid_block.attentions.0.proj_in", ROWS, COLUMNS, false},
        {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k", ROWS, COLUMNS, true}};
    float weight[ROWS * COLUMNS] = {1, 2, 3};
    _cleanup_lora_model_ struct lora_model *model = lora_model_new(modules, ARRAY_LENGTH(modules));
    _cleanup_lora_ struct lora *lora = lora_open(path, model, &err);
    if (!lora)
        return;
    ensure(lora_matched(lora) >= 1 && json_is_array(lora_unmatched(lora)));
    for (size_t i = 0; i < ARRAY_LENGTH(modules); i++)
        if (lora_merge(&(struct lora_use){lora, 0.5F}, 1, model, i, false, weight, weight, &err))
            for (size_t k = 0; k < ARRAY_LENGTH(weight); k++)
                ensure(isfinite(weight[k]));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct error err;
    const char *path = fuzz_file(bytes, length);
    _cleanup_safetensors_ struct safetensors *file = safetensors_open(path, &err);
    if (!file)
        return 0;
    size_t count;
    uint64_t data = 0;
    const struct tensor_entry *entries = safetensors_entries(file, &count);
    for (size_t i = 0; i < count; i++) {
        ensure(entries[i].end >= entries[i].begin && entries[i].end <= length && entries[i].rank <= TENSOR_RANK);
        ensure(entries[i].count >= 0 && (uint64_t)entries[i].count <= length);
        data += entries[i].end - entries[i].begin;
        _cleanup_free_ float *values = xnew_array(float, (size_t)entries[i].count + 1);
        ensure(safetensors_read(file, &entries[i], values, &err) || err.code == ERR_WEIGHTS_INVALID);
    }
    ensure(data <= length);
    merge(path);
    return 0;
}
