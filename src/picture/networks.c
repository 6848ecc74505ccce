#include "picture/networks.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "diffusion/half.h"

enum { CONFIG_BYTES = 1 << 20, WIDTH_MAX = 1 << 16 };

/* A tensor of a network: which, and as what it goes in or comes out. */
struct plug {
    int index; /* -1: the network has none */
    enum tensor_type type;
    int rank;
};

struct encoder {
    struct session *session; /* borrowed, as all of them */
    struct plug ids, pooled;
    int width, pooled_width, last; /* the states of its last layer are "hidden_states.<last>" */
};

struct picture_networks {
    struct encoder encoders[2];
    struct session *unet, *decoder;
    struct plug sample, time, states, pooled, size_ids, guidance, noise; /* of the UNet */
    struct plug latents, planes;                                         /* of the decoder */
    struct text_encoder text[2];
    struct sample_networks sampling;
};

const struct text_encoder *picture_networks_text(const struct picture_networks *networks) { return networks->text; }
const struct sample_networks *picture_networks_sampling(const struct picture_networks *networks) {
    return &networks->sampling;
}

const char *picture_part_name(enum picture_part part) {
    static const char *const names[] = {"text_encoder", "text_encoder_2", "unet", "vae_decoder"};
    _Static_assert(ARRAY_LENGTH(names) == PICTURE_PARTS, "one a part");
    return names[part];
}

/* ---- numbers of any type ---- */

static void *convert_in(const struct plug *plug, const float *values, size_t count) {
    void *out = xcalloc(count, tensor_type_bytes(plug->type));
    if (plug->type == TENSOR_FLOAT16)
        half_from_float(values, out, count);
    else if (plug->type == TENSOR_FLOAT32)
        memcpy(out, values, count * sizeof(float));
    for (size_t i = 0; plug->type == TENSOR_INT64 && i < count; i++)
        ((int64_t *)out)[i] = (int64_t)values[i];
    for (size_t i = 0; plug->type == TENSOR_INT32 && i < count; i++)
        ((int32_t *)out)[i] = (int32_t)values[i];
    return out;
}

static void *convert_ids(const struct plug *plug, const int64_t *ids, size_t count) {
    void *out = xcalloc(count, tensor_type_bytes(plug->type));
    for (size_t i = 0; i < count; i++)
        if (plug->type == TENSOR_INT64)
            ((int64_t *)out)[i] = ids[i];
        else
            ((int32_t *)out)[i] = (int32_t)ids[i];
    return out;
}

/* The tensors of one run, whose memory is owned. */
struct run {
    struct tensor inputs[SESSION_IO_MAX], outputs[SESSION_IO_MAX];
};

static void run_clear(struct run *run) {
    for (int i = 0; i < SESSION_IO_MAX; i++) {
        free(run->inputs[i].data);
        free(run->outputs[i].data);
    }
}
#define _cleanup_run_ _cleanup_(run_clear)

static void run_give(struct run *run, const struct plug *plug, void *data, const int64_t *dims) {
    struct tensor *tensor = &run->inputs[plug->index];
    tensor->data = data;
    tensor->rank = plug->rank;
    memcpy(tensor->dims, dims, (size_t)plug->rank * sizeof *dims);
}

static size_t run_ask(struct run *run, const struct plug *plug, const int64_t *dims) {
    struct tensor *tensor = &run->outputs[plug->index];
    size_t count = 1;
    for (int i = 0; i < plug->rank; i++)
        count *= (size_t)dims[i];
    tensor->data = xcalloc(count, tensor_type_bytes(plug->type));
    tensor->rank = plug->rank;
    memcpy(tensor->dims, dims, (size_t)plug->rank * sizeof *dims);
    return count;
}

static void run_take(const struct run *run, const struct plug *plug, float *out, size_t count) {
    const void *data = run->outputs[plug->index].data;
    if (plug->type == TENSOR_FLOAT16)
        half_to_float(data, out, count);
    else
        memcpy(out, data, count * sizeof(float));
}

/* ---- finding ---- */

enum numbers { FLOATS, WHOLE, ANY };

static bool type_fits(enum tensor_type type, enum numbers numbers) {
    bool is_float = type == TENSOR_FLOAT32 || type == TENSOR_FLOAT16;
    return numbers == ANY || is_float == (numbers == FLOATS);
}

/* What is wanted of a tensor. */
struct wanted {
    const char *name;
    int least_rank, most_rank;
    enum numbers numbers;
    int64_t last; /* its last dimension, where the file says one; 0: any */
};

static bool plug_find(const struct session *session, bool is_input, const struct wanted *wanted, struct plug *out,
                      struct error *err) {
    int count = is_input ? session_input_count(session) : session_output_count(session);
    for (int i = 0; i < count; i++) {
        const struct tensor_shape *shape = is_input ? session_input(session, i) : session_output(session, i);
        if (strcmp(shape->name, wanted->name) != 0)
            continue;
        *out = (struct plug){i, shape->type, shape->rank};
        int64_t last = shape->rank > 0 ? shape->dims[shape->rank - 1] : -1;
        if (shape->rank < wanted->least_rank || shape->rank > wanted->most_rank ||
            !type_fits(shape->type, wanted->numbers))
            return error_set(err, ERR_MODEL_INVALID, "%s is a %s tensor of rank %d, which does not fit", wanted->name,
                             tensor_type_name(shape->type), shape->rank);
        return !wanted->last || last <= 0 || last == wanted->last ||
               error_set(err, ERR_MODEL_INVALID, "%s is %lld wide; the model's other parts make it %lld", wanted->name,
                         (long long)last, (long long)wanted->last);
    }
    return error_set(err, ERR_MODEL_INVALID, "there is no %s %s", is_input ? "input" : "output", wanted->name);
}

/* An input that nobody fills cannot be run. */
static bool check_inputs(const struct session *session, int known, struct error *err) {
    int count = session_input_count(session);
    return count == known ||
           error_set(err, ERR_MODEL_INVALID, "it has %d inputs, of which %d are known: export it as diffusers does",
                     count, known);
}

/* The states of a text encoder: hidden_states.0 is the embedding, .1 the first layer's, and so on. */
static bool find_states(const struct encoder *encoder, int layer, struct plug *out, struct error *err) {
    char name[32];
    snprintf(name, sizeof name, "hidden_states.%d", layer);
    const struct wanted wanted = {name, 3, 3, FLOATS, encoder->width};
    return plug_find(encoder->session, false, &wanted, out, err);
}

/* ---- running ---- */

static bool encoder_run(void *context, const int64_t *ids, int skip, float *states, float *pooled, struct error *err) {
    const struct encoder *encoder = context;
    struct plug layer;
    if (!find_states(encoder, encoder->last - 1 - skip, &layer, err))
        return false;
    _cleanup_run_ struct run run = {0};
    run_give(&run, &encoder->ids, convert_ids(&encoder->ids, ids, TOKENIZER_LENGTH), (int64_t[]){1, TOKENIZER_LENGTH});
    size_t count = run_ask(&run, &layer, (int64_t[]){1, TOKENIZER_LENGTH, encoder->width}), pooled_count = 0;
    if (encoder->pooled_width)
        pooled_count = run_ask(&run, &encoder->pooled, (int64_t[]){1, encoder->pooled_width});
    if (!session_run(encoder->session, run.inputs, run.outputs, err))
        return false;
    run_take(&run, &layer, states, count);
    if (pooled_count)
        run_take(&run, &encoder->pooled, pooled, pooled_count);
    return true;
}

static void give_time(struct run *run, const struct plug *plug, float time, int rows) {
    _cleanup_free_ float *times = xnew_array(float, (size_t)rows);
    for (int i = 0; i < rows; i++)
        times[i] = time;
    run_give(run, plug, convert_in(plug, times, plug->rank ? (size_t)rows : 1), (int64_t[]){rows});
}

/* Rows of `width` values. */
static void give_rows(struct run *run, const struct plug *plug, const float *values, int rows, int width) {
    run_give(run, plug, convert_in(plug, values, (size_t)rows * (size_t)width), (int64_t[]){rows, width});
}

static bool unet_run(void *context, const struct unet_input *in, float *output, struct error *err) {
    const struct picture_networks *networks = context;
    const struct sample_networks *sampling = &networks->sampling;
    const int64_t latents[] = {in->rows, LATENT_CHANNELS, in->height, in->width};
    size_t count = (size_t)in->rows * LATENT_CHANNELS * (size_t)in->height * (size_t)in->width;
    size_t states = (size_t)in->rows * (size_t)in->tokens * (size_t)sampling->states_width;
    _cleanup_run_ struct run run = {0};
    run_give(&run, &networks->sample, convert_in(&networks->sample, in->latents, count), latents);
    give_time(&run, &networks->time, in->time, in->rows);
    run_give(&run, &networks->states, convert_in(&networks->states, in->states, states),
             (int64_t[]){in->rows, in->tokens, sampling->states_width});
    give_rows(&run, &networks->pooled, in->pooled, in->rows, sampling->pooled_width);
    give_rows(&run, &networks->size_ids, in->size_ids, in->rows, SIZE_IDS);
    if (networks->guidance.index >= 0)
        give_rows(&run, &networks->guidance, in->guidance, in->rows, sampling->guidance_width);
    run_ask(&run, &networks->noise, latents);
    if (!session_run(networks->unet, run.inputs, run.outputs, err))
        return false;
    run_take(&run, &networks->noise, output, count);
    return true;
}

static bool decoder_run(void *context, const float *latents, int height, int width, float *planes, struct error *err) {
    const struct picture_networks *networks = context;
    size_t count = LATENT_CHANNELS * (size_t)height * (size_t)width;
    _cleanup_run_ struct run run = {0};
    run_give(&run, &networks->latents, convert_in(&networks->latents, latents, count),
             (int64_t[]){1, LATENT_CHANNELS, height, width});
    size_t pixels = run_ask(&run, &networks->planes, (int64_t[]){1, 3, height * LATENT_PIXELS, width * LATENT_PIXELS});
    if (!session_run(networks->decoder, run.inputs, run.outputs, err))
        return false;
    run_take(&run, &networks->planes, planes, pixels);
    return true;
}

/* ---- binding ---- */

json_t *picture_read_config(const char *folder, const char *part, const char *name, struct error *err) {
    _cleanup_free_ char *file = xasprintf("%s%s%s", part, *part ? "/" : "", name);
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, file);
    _cleanup_buffer_ struct buffer text = {0};
    if (access(path, R_OK) != 0) {
        error_set(err, ERR_MODEL_NOT_FOUND, "there is no %s that can be read", file);
        return NULL;
    }
    json_t *json = file_read(path, CONFIG_BYTES, &text, err) ? json_parse(text.data, text.length, err) : NULL;
    if (!json)
        error_wrap(err, "%s", file);
    return json;
}

/* A width of a text encoder's configuration. */
static bool read_width(const json_t *config, const char *key, int *out, struct error *err) {
    int64_t width = json_get_integer(config, key, 0);
    *out = (int)width;
    return (width > 0 && width <= WIDTH_MAX) || error_set(err, ERR_MODEL_INVALID, "its config.json has no \"%s\"", key);
}

static bool bind_encoder(struct encoder *encoder, struct error *err) {
    static const struct wanted ids = {"input_ids", 2, 2, WHOLE, 0};
    struct plug states;
    for (int i = 0, layer; i < session_output_count(encoder->session); i++)
        if (sscanf(session_output(encoder->session, i)->name, "hidden_states.%d", &layer) == 1)
            encoder->last = MAX(encoder->last, layer);
    const struct wanted pooled = {"text_embeds", 2, 2, FLOATS, encoder->pooled_width};
    return plug_find(encoder->session, true, &ids, &encoder->ids, err) && check_inputs(encoder->session, 1, err) &&
           find_states(encoder, encoder->last - 1, &states, err) &&
           (!encoder->pooled_width || plug_find(encoder->session, false, &pooled, &encoder->pooled, err));
}

static bool bind_text_encoder(struct picture_networks *networks, int which, const json_t *config,
                              struct session *session, struct error *err) {
    struct encoder *encoder = &networks->encoders[which];
    encoder->session = session;
    if (!read_width(config, "hidden_size", &encoder->width, err) ||
        (which == 1 && !read_width(config, "projection_dim", &encoder->pooled_width, err)) ||
        !bind_encoder(encoder, err))
        return false;
    networks->text[which] = (struct text_encoder){encoder_run, encoder, encoder->width, encoder->pooled_width};
    return true;
}

/* timestep_cond: of UNets that were distilled with guidance. */
static bool bind_guidance(struct picture_networks *networks, struct error *err) {
    static const struct wanted guidance = {"timestep_cond", 2, 2, FLOATS, 0};
    networks->guidance.index = -1;
    if (session_input_count(networks->unet) == 5)
        return true;
    if (!plug_find(networks->unet, true, &guidance, &networks->guidance, err) || !check_inputs(networks->unet, 6, err))
        return false;
    int64_t width = session_input(networks->unet, networks->guidance.index)->dims[1];
    networks->sampling.guidance_width = (int)width;
    return (width > 0 && width <= WIDTH_MAX) || error_set(err, ERR_MODEL_INVALID, "the width of timestep_cond is free");
}

static bool bind_unet(struct picture_networks *networks, struct session *unet, struct error *err) {
    struct sample_networks *sampling = &networks->sampling;
    sampling->states_width = networks->encoders[0].width + networks->encoders[1].width;
    sampling->pooled_width = networks->encoders[1].pooled_width;
    networks->unet = unet;
    const struct wanted sample = {"sample", 4, 4, FLOATS, 0}, time = {"timestep", 0, 1, ANY, 0},
                        states = {"encoder_hidden_states", 3, 3, FLOATS, sampling->states_width},
                        pooled = {"text_embeds", 2, 2, FLOATS, sampling->pooled_width},
                        size_ids = {"time_ids", 2, 2, FLOATS, SIZE_IDS}, noise = {"out_sample", 4, 4, FLOATS, 0};
    return plug_find(unet, true, &sample, &networks->sample, err) &&
           plug_find(unet, true, &time, &networks->time, err) &&
           plug_find(unet, true, &states, &networks->states, err) &&
           plug_find(unet, true, &pooled, &networks->pooled, err) &&
           plug_find(unet, true, &size_ids, &networks->size_ids, err) &&
           plug_find(unet, false, &noise, &networks->noise, err) && bind_guidance(networks, err);
}

/* LATENT_CHANNELS numbers of the decoder's configuration, or all `usual`. */
static bool read_channels(const json_t *config, const char *key, float usual, float *out, struct error *err) {
    const json_t *list = json_object_get(config, key);
    bool is_given = list && !json_is_null(list);
    for (size_t i = 0; i < LATENT_CHANNELS; i++)
        out[i] = is_given ? (float)json_number_value(json_array_get(list, i)) : usual;
    return !is_given || json_array_size(list) == LATENT_CHANNELS ||
           error_set(err, ERR_MODEL_INVALID, "\"%s\" of its config.json is not %d numbers", key, LATENT_CHANNELS);
}

static bool bind_decoder(struct picture_networks *networks, const json_t *config, struct session *decoder,
                         struct error *err) {
    static const struct wanted latents = {"latent_sample", 4, 4, FLOATS, 0}, planes = {"sample", 4, 4, FLOATS, 0};
    struct sample_networks *sampling = &networks->sampling;
    if (!read_channels(config, "latents_mean", 0, sampling->mean, err) ||
        !read_channels(config, "latents_std", 1, sampling->scale, err))
        return false;
    sampling->scaling = (float)json_get_number(config, "scaling_factor", 0);
    if (!(sampling->scaling > 0))
        return error_set(err, ERR_MODEL_INVALID, "its config.json has no \"scaling_factor\"");
    networks->decoder = decoder;
    return plug_find(decoder, true, &latents, &networks->latents, err) && check_inputs(decoder, 1, err) &&
           plug_find(decoder, false, &planes, &networks->planes, err);
}

struct picture_networks *picture_networks_new(void) {
    struct picture_networks *networks = xnew(struct picture_networks);
    networks->sampling.unet = unet_run;
    networks->sampling.decode = decoder_run;
    networks->sampling.context = networks;
    return networks;
}

bool picture_networks_bind(struct picture_networks *networks, const char *folder, enum picture_part part,
                           struct session *session, struct error *err) {
    const char *name = picture_part_name(part);
    _cleanup_json_ json_t *config = part == PICTURE_UNET ? NULL : picture_read_config(folder, name, "config.json", err);
    if (part != PICTURE_UNET && !config)
        return false;
    bool done = part == PICTURE_UNET      ? bind_unet(networks, session, err)
                : part == PICTURE_DECODER ? bind_decoder(networks, config, session, err)
                                          : bind_text_encoder(networks, (int)part, config, session, err);
    return done || error_wrap(err, "%s/%s", folder, name);
}

void picture_networks_free(struct picture_networks *networks) { free(networks); }
