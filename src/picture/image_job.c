/* image: draws a handful of pictures of one prompt. */
#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/session.h"
#include "picture/enlarge.h"
#include "picture/job_names.h"
#include "picture/picture_jobs.h"
#include "picture/png.h"
#include "picture/recipe.h"
#include "picture/thumb.h"

struct drawing {
    const struct job_context *context;
    struct step_times *times;
    const struct images *images;
    const struct image_prompt *prompt;
    struct image_part part;
    struct painter *painter; /* borrowed, while behind the gate */
    int width, height, batch;
    uint8_t *rgb; /* [part.count][height][width][3] as they are drawn */
    struct painting_cut cut;
    json_t *origin;
    enum step step; /* that is timed */
    int64_t step_began;
    int64_t steps_before; /* of the batches before */
};

static void drawing_clear(struct drawing *drawing) {
    free(drawing->rgb);
    painting_cut_free(&drawing->cut);
    json_decref(drawing->origin);
}

/* ---- drawing ---- */

static void drawing_begin_step(struct drawing *drawing, enum step step) {
    step_stop(drawing->times, drawing->step, drawing->step_began);
    drawing->step = step;
    drawing->step_began = step_start();
    atomic_store(&drawing->context->progress->step, step);
}

static void hear_phase(void *context, enum painting_phase phase) {
    static const enum step steps[] = {
        [PAINTING_TEXT] = STEP_TEXT, [PAINTING_DENOISE] = STEP_DENOISE, [PAINTING_DECODE] = STEP_DECODE};
    drawing_begin_step(context, steps[phase]);
}

static void hear_progress(void *context, int done, int steps, const float *latents) {
    struct drawing *drawing = context;
    atomic_store(&drawing->context->progress->frames, drawing->steps_before + done);
}

static bool get_painter(struct drawing *drawing, struct error *err) {
    const struct job_context *context = drawing->context;
    const struct image_prompt *prompt = drawing->prompt;
    struct painter_lora loras[IMAGE_LORAS_MAX];
    char key[AFFINITY_MAX + 1];
    for (size_t i = 0; i < prompt->lora_count; i++) {
        const struct image_lora *lora = &prompt->loras[i];
        _cleanup_free_ char *source = lora->file ? lora_source_name(i) : NULL;
        loras[i] = (struct painter_lora){.name = lora->name, .weight = (float)lora->weight};
        if (source && !(loras[i].path = work_input(context, source, err)))
            return false;
    }
    images_affinity(drawing->images, drawing->part.prompt, key);
    drawing->painter = painters_get(context->painters, key, drawing->images->model, loras, prompt->lora_count, err);
    return drawing->painter != NULL;
}

/* A batch of pictures from `first` on. */
static bool paint_batch(struct drawing *drawing, int first, int count, struct error *err) {
    const struct image_prompt *prompt = drawing->prompt;
    size_t bytes = 3 * (size_t)drawing->width * (size_t)drawing->height;
    struct painting painting = {
        .prompt = prompt->text,
        .negative = prompt->negative,
        .words = {.weighted = drawing->images->weighted, .chunks = drawing->images->long_prompts ? PROMPT_CHUNKS : 1},
        .scheduler = {.name = prompt->scheduler, .spacing = prompt->spacing, .karras = prompt->karras},
        .steps = prompt->steps,
        .width = drawing->width,
        .height = drawing->height,
        .count = count,
        .seed = prompt->seed + (uint32_t)(drawing->part.first + first),
        .guidance = (float)prompt->guidance,
        .rescale = (float)prompt->rescale,
        .cancel = drawing->context->cancel,
        .phase = hear_phase,
        .progress = hear_progress,
        .context = drawing,
    };
    painting_cut_free(&drawing->cut);
    return painter_paint(drawing->painter, &painting, drawing->rgb + (size_t)first * bytes, &drawing->cut, err);
}

/* Where it was made: with this, its recipe gives the same bytes again. */
static bool note_origin(struct drawing *drawing, struct error *err) {
    const struct image_prompt *prompt = drawing->prompt;
    const struct scheduler_choice choice = {prompt->scheduler, prompt->spacing, prompt->karras};
    json_t *scheduler = painter_scheduler(drawing->painter, &choice, err);
    if (!scheduler)
        return false;
    _cleanup_json_ json_t *of_painter = painter_origin(drawing->painter);
    drawing->origin = json_copy(of_painter);
    json_object_set_new(drawing->origin, "scheduler", scheduler);
    json_object_set_new(drawing->origin, "batch", json_integer(drawing->batch));
    json_object_set_new(drawing->origin, "tile",
                        json_integer(painter_tile(drawing->painter, drawing->width, drawing->height)));
    json_object_set_new(drawing->origin, "mela", json_string(MELA_VERSION));
    json_object_set_new(drawing->origin, "onnxruntime", json_string(session_runtime_version()));
    return true;
}

/* The size of batches is the device's: a card draws a handful at once, the CPU one after the other. Within a batch a
 * picture may differ by a level from the one that is drawn alone, so the record says how large it was. */
static bool paint_all(struct drawing *drawing, struct error *err) {
    const struct image_prompt *prompt = drawing->prompt;
    int count = drawing->part.count;
    drawing->width = prompt->width;
    drawing->height = prompt->height;
    if (!drawing->width)
        drawing->width = drawing->height = painter_usual_side(drawing->painter);
    drawing->batch = painters_are_on_card(drawing->context->painters) ? count : 1;
    drawing->rgb = xnew_array(uint8_t, (size_t)count * 3 * (size_t)drawing->width * (size_t)drawing->height);
    int64_t batches = (count + drawing->batch - 1) / drawing->batch;
    atomic_store(&drawing->context->progress->of, batches * prompt->steps);
    for (int first = 0; first < count; first += drawing->batch) {
        if (!paint_batch(drawing, first, MIN(drawing->batch, count - first), err))
            return false;
        drawing->steps_before += prompt->steps;
    }
    return note_origin(drawing, err);
}

/* Puts pictures of the enhancer's size in the place of those that were drawn. */
static bool enlarge_all(struct drawing *drawing, struct error *err) {
    struct enhance *enhance = painters_enhancer(drawing->context->painters, err);
    if (!enhance)
        return false;
    int scale = enhance_scale(enhance);
    size_t bytes = 3 * (size_t)drawing->width * (size_t)drawing->height, large = bytes * (size_t)(scale * scale);
    uint8_t *out = xnew_array(uint8_t, (size_t)drawing->part.count *large);
    bool good = true;
    for (int k = 0; k < drawing->part.count && good; k++)
        good = enlarge_picture(enhance, drawing->rgb + (size_t)k * bytes, drawing->width, drawing->height,
                               out + (size_t)k * large, drawing->context->cancel, err);
    free(drawing->rgb);
    drawing->rgb = out;
    drawing->width *= scale;
    drawing->height *= scale;
    return good;
}

static bool draw(struct drawing *drawing, struct error *err) {
    if (!work_enter(drawing->context, drawing->times, err))
        return false;
    drawing->step = STEP_TEXT;
    drawing->step_began = step_start();
    bool drawn = get_painter(drawing, err) && paint_all(drawing, err);
    if (drawn && drawing->prompt->enhance) {
        drawing_begin_step(drawing, STEP_ENHANCE);
        drawn = enlarge_all(drawing, err);
    }
    step_stop(drawing->times, drawing->step, drawing->step_began);
    work_leave(drawing->context, drawing->times);
    return drawn;
}

/* ---- what is left ---- */

static const uint8_t *picture_rgb(const struct drawing *drawing, int k) {
    return drawing->rgb + (size_t)k * 3 * (size_t)drawing->width * (size_t)drawing->height;
}

/* Its recipe says nothing of the campaign, so that the same picture has the same bytes in another one. */
static bool write_picture(const struct drawing *drawing, const json_t *recipe, int k, json_t *pictures,
                          struct error *err) {
    uint32_t seed = drawing->prompt->seed + (uint32_t)(drawing->part.first + k);
    _cleanup_free_ char *name = picture_target_name(k), *path = work_path(drawing->context, name);
    _cleanup_free_ char *parameters =
        recipe_parameters(drawing->images, drawing->prompt, seed, drawing->width, drawing->height, drawing->origin);
    _cleanup_json_ json_t *made = json_pack("{s:O,s:O,s:i}", "recipe", recipe, "origin", drawing->origin, "picture", k);
    _cleanup_free_ char *mela = json_line(made);
    const struct png_text texts[] = {{"parameters", parameters}, {"mela", mela}};
    char hex[SHA256_HEX + 1];
    int64_t bytes;
    if (!png_write(path, picture_rgb(drawing, k), (size_t)drawing->width, (size_t)drawing->height, texts,
                   drawing->images->metadata ? ARRAY_LENGTH(texts) : 0, err) ||
        !sha256_file(path, hex, &bytes, err))
        return false;
    json_array_append_new(
        pictures, json_pack("{s:I,s:s,s:I,s:i,s:i,s:s,s:I}", "number", (json_int_t)drawing->part.first_picture + k,
                            "file", name + strlen("picture-"), "seed", (json_int_t)seed, "width", drawing->width,
                            "height", drawing->height, "sha256", hex, "bytes", (json_int_t)bytes));
    return true;
}

/* Small ones of all pictures, side by side. */
static bool write_thumbs(const struct drawing *drawing, struct error *err) {
    size_t width, height, count = (size_t)drawing->part.count;
    thumb_fit(THUMB_SIDE, (size_t)drawing->width, (size_t)drawing->height, &width, &height);
    _cleanup_free_ uint8_t *strip = xnew_array(uint8_t, count *width *height * 3);
    for (size_t k = 0; k < count; k++)
        thumb_shrink(picture_rgb(drawing, (int)k), (size_t)drawing->width, (size_t)drawing->width,
                     (size_t)drawing->height, strip + k * width * 3, count * width, width, height);
    _cleanup_free_ char *path = work_path(drawing->context, TARGET_THUMBS);
    return png_write(path, strip, count * width, height, NULL, 0, err);
}

static json_t *cut_to_json(const struct painting_cut *cut) {
    return cut->text ? json_pack("{s:I,s:I,s:s}", "tokens", (json_int_t)cut->tokens, "cut", (json_int_t)cut->cut,
                                 "text", cut->text)
                     : json_null();
}

static bool write_record(const struct drawing *drawing, json_t *recipe, json_t *pictures, struct error *err) {
    char id[JOB_ID_MAX + 1];
    job_id_format(&drawing->context->job, id);
    _cleanup_json_ json_t *record =
        json_pack("{s:i,s:s,s:O,s:O,s:O,s:o}", "version", 1, "job", job_id_suffix(id), "pictures", pictures, "recipe",
                  recipe, "origin", drawing->origin, "cut", cut_to_json(&drawing->cut));
    _cleanup_free_ char *text = json_line(record), *path = work_path(drawing->context, TARGET_RECORD);
    return file_write_atomic(path, text, strlen(text), 0644, err);
}

static bool leave_files(struct drawing *drawing, struct error *err) {
    _cleanup_json_ json_t *recipe = recipe_of_part(drawing->images, &drawing->part), *pictures = json_array();
    drawing_begin_step(drawing, STEP_ENCODE);
    bool good = true;
    for (int k = 0; k < drawing->part.count && good; k++)
        good = write_picture(drawing, recipe, k, pictures, err);
    good = good && write_thumbs(drawing, err) && write_record(drawing, recipe, pictures, err);
    step_stop(drawing->times, STEP_ENCODE, drawing->step_began);
    return good;
}

static void report_drawing(const struct drawing *drawing, json_t *report) {
    json_object_set_new(report, "pictures", json_integer(drawing->part.count));
    if (drawing->cut.text)
        json_object_set_new(report, "cut", cut_to_json(&drawing->cut));
}

bool image_job_run(const struct job_context *context, struct step_times *times, struct work_result *result,
                   struct error *err) {
    const struct images *images = &context->campaign->images;
    _cleanup_(drawing_clear) struct drawing drawing = {.context = context, .times = times, .images = images};
    if (!images_part(images, (size_t)context->job.index, &drawing.part))
        return error_set(err, ERR_INTERNAL, "the campaign has no job image/%04d", context->job.index);
    if (!context->painters)
        return error_set(err, ERR_INTERNAL, "this process was started without pictures");
    drawing.prompt = &images->prompts[drawing.part.prompt];
    if (!draw(&drawing, err) || !leave_files(&drawing, err))
        return false;
    report_drawing(&drawing, result->report);
    return true;
}
