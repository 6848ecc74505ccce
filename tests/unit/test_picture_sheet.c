/* The contact sheet of many pictures, and small versions of them. */
#include "directory_fixture.h"
#include "test.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "picture/picture_jobs.h"
#include "picture/png.h"
#include "picture/thumb.h"

enum { PICTURES = 1100, MISSING = 7, COLUMNS = 34, CELL = 8192 / COLUMNS - 4, BAND = CELL + 4 };

static char *in_folder(void **state, const char *name) { return xasprintf("%s/%s", (const char *)*state, name); }

/* Of each job a record, and one of three strips of one picture, 256 x 256. */
static void make_inputs(void **state, struct job_file *inputs) {
    static uint8_t rgb[256 * 256 * 3];
    static char names[2 * PICTURES][16], strips[3][256], record[256];
    static const char text[] = "{\"pictures\":[{\"seed\":5,\"sha256\":\"ab\"}]}";
    struct error err;
    snprintf(record, sizeof record, "%s/record", (const char *)*state);
    assert_ok(file_write_atomic(record, text, strlen(text), 0644, &err), err);
    for (int i = 0; i < 3; i++) {
        snprintf(strips[i], sizeof strips[i], "%s/strip-%d", (const char *)*state, i);
        memset(rgb, 60 * (i + 1), sizeof rgb);
        assert_ok(png_write(strips[i], rgb, 256, 256, NULL, 0, &err), err);
    }
    for (int i = 0; i < PICTURES; i++) {
        snprintf(names[2 * i], sizeof names[0], "record-%04d", i);
        snprintf(names[2 * i + 1], sizeof names[0], "thumbs-%04d", i);
        inputs[2 * i] = (struct job_file){names[2 * i], record};
        inputs[2 * i + 1] = (struct job_file){names[2 * i + 1], strips[i % 3]};
    }
}

static struct campaign *campaign_of_many(void) {
    json_t *prompts = json_array();
    _cleanup_json_ json_t *problems = json_array(),
                          *spec = json_pack("{s:s,s:{s:o}}", "name", "n", "images", "prompts", prompts);
    for (int i = 0; i < PICTURES; i++)
        json_array_append_new(prompts, json_pack("{s:s}", "prompt", "a"));
    struct campaign *campaign = campaign_parse(spec, "n-1", problems);
    assert_non_null(campaign);
    return campaign;
}

static int colour_of(const uint8_t *rgb, size_t width, int picture) {
    size_t y = 4 + (size_t)(picture / COLUMNS * BAND + CELL / 2), x = 4 + (size_t)(picture % COLUMNS * BAND + CELL / 2);
    return rgb[(y * width + x) * 3];
}

static void a_sheet_of_many_pictures_stays_within_its_size(void **state) {
    _cleanup_campaign_ struct campaign *campaign = campaign_of_many();
    _cleanup_free_ struct job_file *inputs = xcalloc(2 * PICTURES, sizeof *inputs);
    struct progress progress = {0};
    atomic_bool cancel = false;
    struct step_times times = {0};
    _cleanup_work_result_ struct work_result result = {.report = json_object()};
    struct error err;
    make_inputs(state, inputs);
    inputs[2 * MISSING].name = inputs[2 * MISSING + 1].name = "nothing"; /* its job died */
    const struct job_context context = {.campaign = campaign,
                                        .inputs = inputs,
                                        .input_count = 2 * PICTURES,
                                        .scratch = *state,
                                        .progress = &progress,
                                        .cancel = &cancel};
    assert_ok(sheet_job_run(&context, &times, &result, &err), err);
    size_t width, height;
    _cleanup_free_ char *path = in_folder(state, "sheet.png");
    _cleanup_free_ uint8_t *rgb = png_read(path, 8192 * 8192, &width, &height, &err);
    assert_ok(rgb, err);
    assert_int_equal(width, COLUMNS * BAND + 4);
    assert_int_equal(height, 33 * BAND + 4);
    for (int i = 0; i < PICTURES; i++)
        assert_int_equal(colour_of(rgb, width, i), i == MISSING ? 32 : 60 * (i % 3 + 1));
}

static void what_is_no_strip_is_an_error(void **state) {
    size_t width, height;
    struct error err;
    _cleanup_free_ char *path = in_folder(state, "no.png");
    assert_ok(file_write_atomic(path, "no", 2, 0644, &err), err);
    assert_null(png_read(path, 100, &width, &height, &err));
    assert_int_equal(err.code, ERR_PICTURE_INVALID);
}

static void a_small_picture_has_the_means_of_the_large_one(void **state) {
    static const uint8_t large[4 * 2 * 3] = {0,  0, 0, 10, 0, 0, 100, 0, 0, 102, 0, 0,
                                             20, 0, 0, 30, 0, 0, 104, 0, 0, 106, 0, 9};
    static const uint8_t wanted[2 * 3] = {15, 0, 0, 103, 0, 2};
    uint8_t small[2 * 3];
    size_t width, height;
    thumb_fit(2, 4, 2, &width, &height);
    assert_int_equal(width, 2);
    assert_int_equal(height, 1);
    thumb_shrink(large, 4, 4, 2, small, 2, width, height);
    assert_memory_equal(small, wanted, sizeof wanted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(a_sheet_of_many_pictures_stays_within_its_size),
        SCRATCH_TEST(what_is_no_strip_is_an_error),
        cmocka_unit_test(a_small_picture_has_the_means_of_the_large_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
