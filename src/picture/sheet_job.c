/* sheet: small ones of all pictures of a campaign on one contact sheet, and the index of where each lies. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "farm/limits.h"
#include "picture/job_names.h"
#include "picture/picture_jobs.h"
#include "picture/png.h"
#include "picture/thumb.h"

enum {
    SHEET_SIDE = 8192, /* pixels at most, as viewers can show */
    GAP = 4,           /* between cells */
    RECORD_MAX = 1 << 20,
    STRIP_PIXELS = IMAGE_HANDFUL * THUMB_SIDE * THUMB_SIDE,
};

/* The handful that one job drew; thumbs NULL: it died. */
struct handful {
    const char *record, *thumbs;
    struct image_part part;
};

struct sheet {
    const struct job_context *context;
    struct handful *handfuls;
    size_t handful_count, picture_count;
    size_t *handful_of; /* of each picture */
    size_t columns, rows, cell;
    uint8_t *band;  /* one row of cells: [cell + GAP][width][3] */
    uint8_t *strip; /* of the handful that was read last, [strip_height][strip_width][3]; NULL: none */
    size_t strip_of, strip_width, strip_height;
    struct error failure; /* of a strip that cannot be read; ERR_NONE: none */
};

static void sheet_clear(struct sheet *sheet) {
    free(sheet->handfuls);
    free(sheet->handful_of);
    free(sheet->band);
    free(sheet->strip);
}

/* ---- what there is ---- */

static bool parse_input(const char *name, const char *prefix, size_t *index) {
    size_t length = strlen(prefix);
    if (strncmp(name, prefix, length) != 0)
        return false;
    *index = strtoul(name + length, NULL, 10);
    return true;
}

/* The inputs are gone through once: to look each up by its name would be quadratic. */
static void find_handfuls(struct sheet *sheet) {
    const struct images *images = &sheet->context->campaign->images;
    struct image_part part = {0};
    sheet->handful_count = images_job_count(images);
    sheet->picture_count = (size_t)images_picture_count(images);
    sheet->handfuls = xnew_array(struct handful, sheet->handful_count);
    sheet->handful_of = xnew_array(size_t, sheet->picture_count);
    for (size_t i = 0; images_next_part(images, &part); i++) {
        sheet->handfuls[i].part = part;
        for (int k = 0; k < part.count; k++)
            sheet->handful_of[part.first_picture + k] = i;
    }
    for (size_t i = 0, index; i < sheet->context->input_count; i++) {
        const struct job_file *input = &sheet->context->inputs[i];
        if (parse_input(input->name, SOURCE_RECORD, &index) && index < sheet->handful_count)
            sheet->handfuls[index].record = input->path;
        else if (parse_input(input->name, SOURCE_THUMBS, &index) && index < sheet->handful_count)
            sheet->handfuls[index].thumbs = input->path;
    }
}

/* ---- the index ---- */

static json_t *read_record(const struct handful *handful, struct error *err) {
    _cleanup_buffer_ struct buffer text = {0};
    return file_read(handful->record, RECORD_MAX, &text, err) ? json_parse(text.data, text.length, err) : NULL;
}

static json_t *index_entry(const struct image_prompt *prompt, const struct handful *handful, const json_t *record,
                           size_t job, int k) {
    _cleanup_free_ char *name = xasprintf("image/%04zu", job);
    json_int_t number = (json_int_t)handful->part.first_picture + k;
    if (!record)
        return json_pack("{s:I,s:s,s:s,s:b}", "number", number, "job", name, "prompt", prompt->text, "missing", 1);
    const json_t *picture = json_array_get(json_object_get(record, "pictures"), (size_t)k);
    _cleanup_free_ char *file = xasprintf("%s/%d.png", name, k);
    return json_pack("{s:I,s:s,s:s,s:I,s:s,s:s,s:I,s:I}", "number", number, "job", name, "file", file, "seed",
                     json_get_integer(picture, "seed", 0), "prompt", prompt->text, "sha256",
                     json_get_string(picture, "sha256", ""), "width", json_get_integer(picture, "width", 0), "height",
                     json_get_integer(picture, "height", 0));
}

/* Also finds the largest small picture: the cells are no larger. */
static bool write_index(struct sheet *sheet, struct error *err) {
    const struct images *images = &sheet->context->campaign->images;
    json_t *pictures = json_array();
    _cleanup_json_ json_t *index =
        json_pack("{s:i,s:s,s:i,s:o}", "version", 1, "campaign", sheet->context->campaign->id, "columns",
                  (int)sheet->columns, "pictures", pictures);
    for (size_t i = 0; i < sheet->handful_count; i++) {
        const struct handful *handful = &sheet->handfuls[i];
        _cleanup_json_ json_t *record = handful->record ? read_record(handful, err) : NULL;
        if (handful->record && !record)
            return false;
        for (int k = 0; k < handful->part.count; k++)
            json_array_append_new(pictures, index_entry(&images->prompts[handful->part.prompt], handful, record, i, k));
    }
    _cleanup_free_ char *text = json_line(index), *path = work_path(sheet->context, TARGET_INDEX);
    return file_write_atomic(path, text, strlen(text), 0644, err);
}

/* ---- the sheet ---- */

static bool open_strip(struct sheet *sheet, size_t handful, struct error *err) {
    if (sheet->strip && sheet->strip_of == handful)
        return true;
    free(sheet->strip);
    sheet->strip_of = handful;
    sheet->strip =
        png_read(sheet->handfuls[handful].thumbs, STRIP_PIXELS, &sheet->strip_width, &sheet->strip_height, err);
    return sheet->strip != NULL;
}

static size_t sheet_width(const struct sheet *sheet) { return sheet->columns * (sheet->cell + GAP) + GAP; }

/* A picture of its handful's strip, shrunk into the middle of its cell. */
static bool fill_cell(struct sheet *sheet, size_t picture, struct error *err) {
    size_t index = sheet->handful_of[picture], width, height;
    const struct handful *handful = &sheet->handfuls[index];
    if (!handful->thumbs)
        return true;
    if (!open_strip(sheet, index, err))
        return false;
    size_t small = sheet->strip_width / (size_t)handful->part.count;
    size_t left = (picture - (size_t)handful->part.first_picture) * small;
    thumb_fit(sheet->cell, MAX(small, 1), sheet->strip_height, &width, &height);
    size_t x = GAP + picture % sheet->columns * (sheet->cell + GAP) + (sheet->cell - width) / 2;
    size_t y = GAP + (sheet->cell - height) / 2;
    thumb_shrink(sheet->strip + left * 3, sheet->strip_width, small, sheet->strip_height,
                 sheet->band + (y * sheet_width(sheet) + x) * 3, sheet_width(sheet), width, height);
    return true;
}

static void fill_band(struct sheet *sheet, size_t row) {
    const uint8_t paper = 32;
    memset(sheet->band, paper, (sheet->cell + GAP) * sheet_width(sheet) * 3);
    for (size_t i = row * sheet->columns; i < MIN((row + 1) * sheet->columns, sheet->picture_count); i++)
        if (sheet->failure.code == ERR_NONE && !fill_cell(sheet, i, &sheet->failure))
            break;
    atomic_store(&sheet->context->progress->frames, (int64_t)MIN((row + 1) * sheet->columns, sheet->picture_count));
}

/* A band begins with the gap above its cells; below the last one there is a gap more. */
static const uint8_t *sheet_row(void *context, size_t y) {
    struct sheet *sheet = context;
    size_t band = sheet->cell + GAP, row = y / band;
    if (atomic_load(sheet->context->cancel) && sheet->failure.code == ERR_NONE)
        error_set(&sheet->failure, ERR_CANCELLED, "the job was told to stop");
    if (y % band == 0)
        fill_band(sheet, row);
    return sheet->band + y % band * sheet_width(sheet) * 3;
}

/* As many columns as rows, as large as fits. */
static void lay_out(struct sheet *sheet) {
    size_t largest = 1;
    for (size_t i = 0; i < sheet->handful_count; i++) {
        struct error unread;
        const struct handful *handful = &sheet->handfuls[i];
        if (!handful->thumbs || largest >= THUMB_SIDE || !open_strip(sheet, i, &unread))
            continue;
        largest = MAX(largest, MAX(sheet->strip_width / (size_t)handful->part.count, sheet->strip_height));
    }
    sheet->columns = (size_t)ceil(sqrt((double)sheet->picture_count));
    sheet->rows = (sheet->picture_count + sheet->columns - 1) / sheet->columns;
    sheet->cell = MIN(largest, SHEET_SIDE / sheet->columns - GAP);
    sheet->band = xnew_array(uint8_t, (sheet->cell + GAP) * sheet_width(sheet) * 3);
}

static bool write_sheet(struct sheet *sheet, struct error *err) {
    _cleanup_free_ char *path = work_path(sheet->context, TARGET_SHEET);
    size_t height = sheet->rows * (sheet->cell + GAP) + GAP;
    if (!png_write_by_rows(path, sheet_width(sheet), height, sheet_row, sheet, NULL, 0, err))
        return false;
    if (sheet->failure.code == ERR_NONE)
        return true;
    *err = sheet->failure;
    return false;
}

bool sheet_job_run(const struct job_context *context, struct step_times *times, struct work_result *result,
                   struct error *err) {
    _cleanup_(sheet_clear) struct sheet sheet = {.context = context};
    int64_t began = step_start();
    find_handfuls(&sheet);
    lay_out(&sheet);
    atomic_store(&context->progress->of, (int64_t)sheet.picture_count);
    atomic_store(&context->progress->step, STEP_ENCODE);
    bool good = write_index(&sheet, err) && write_sheet(&sheet, err);
    step_stop(times, STEP_ENCODE, began);
    return good;
}
