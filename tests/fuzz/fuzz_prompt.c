/* A prompt, with weights or without: chunks of the size promised, tokens of the vocabulary, and nothing lost untold. */
#include <math.h>

#include "diffusion/prompt.h"
#include "fuzz.h"

static struct tokenizer *tokenizer;
static char *folder;

static void remove_folder(void) {
    tokenizer_free(tokenizer);
    tree_remove(folder);
    free(folder);
}

static void write_file(const char *name, const char *text, size_t length) {
    struct error err;
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
    ensure(file_write_atomic(path, text, length, 0644, &err));
}

/* All bytes, as CLIP's vocabulary spells them, and a few merges. */
static json_t *vocabulary(void) {
    static const char *const merged[] = {"th", "the</w>", "ca", "cat</w>", "<|startoftext|>", "<|endoftext|>"};
    json_t *tokens = json_object();
    for (int byte = 0, others = 0; byte < 256; byte++) {
        bool prints = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
        int c = prints ? byte : 256 + others++;
        char text[] = {(char)(c < 128 ? c : 0xc0 | c >> 6), (char)(c < 128 ? 0 : 0x80 | (c & 63)), 0};
        _cleanup_free_ char *last = xasprintf("%s</w>", text);
        json_object_set_new(tokens, text, json_integer(2 * byte));
        json_object_set_new(tokens, last, json_integer(2 * byte + 1));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(merged); i++)
        json_object_set_new(tokens, merged[i], json_integer(512 + (json_int_t)i));
    return tokens;
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    struct error err;
    static const char merges[] = "#version: 0.2\nt h\nth e</w>\nc a\nca t</w>\n",
                      config[] = "{\"model_max_length\": 77}";
    folder = directory_make_temporary("/tmp", "mela-fuzz", &err);
    ensure(folder);
    _cleanup_json_ json_t *tokens = vocabulary();
    _cleanup_free_ char *text = json_line(tokens);
    write_file("vocab.json", text, strlen(text));
    write_file("merges.txt", merges, sizeof merges - 1);
    write_file("tokenizer_config.json", config, sizeof config - 1);
    tokenizer = tokenizer_load(folder, &err);
    ensure(tokenizer);
    atexit(remove_folder);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct error err;
    if (length == 0)
        return 0;
    _cleanup_free_ char *text = fuzz_text(bytes + 1, length - 1);
    struct prompt_options options = {.weighted = bytes[0] & 1, .chunks = 1 + (bytes[0] >> 1) % 4};
    _cleanup_prompt_ struct prompt prompt = {0};
    if (!prompt_encode(tokenizer, text, &options, &prompt, &err)) {
        ensure(err.code == ERR_PROMPT_INVALID);
        return 0;
    }
    ensure(prompt.chunks >= 1 && prompt.chunks <= options.chunks && prompt.cut <= prompt.tokens);
    ensure((prompt.cut > 0) == (prompt.cut_text != NULL) && (!prompt.cut_text || fuzz_is_utf8(prompt.cut_text)));
    prompt_pad(&prompt, tokenizer, 5);
    for (int i = 0; i < 5 * TOKENIZER_LENGTH; i++) {
        ensure(prompt.ids[i] >= 0 && prompt.ids[i] < 518 && fabsf(prompt.weights[i]) <= 10);
        ensure((prompt.ids[i] == 516) == (i % TOKENIZER_LENGTH == 0)); /* none but those that begin a chunk */
    }
    return 0;
}
