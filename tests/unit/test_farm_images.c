/* A campaign of pictures: what its spec may say, what is filled in, its jobs. */
#include "test.h"

#include "base/memory.h"
#include "farm/farm.h"

static json_t *parse(const char *text) {
    struct error err;
    json_t *json = json_parse(text, strlen(text), &err);
    if (!json)
        fail_msg("%s", err.message);
    return json;
}

/* Of a spec that must be good. */
static struct campaign *campaign_of(const char *images) {
    _cleanup_free_ char *text = xasprintf("{\"name\":\"a\",\"images\":%s}", images);
    _cleanup_json_ json_t *spec = parse(text), *problems = json_array();
    struct campaign *campaign = campaign_parse(spec, "a-1", problems);
    _cleanup_free_ char *line = json_line(problems);
    if (!campaign)
        fail_msg("%s", line);
    return campaign;
}

/* The problems of one that must be refused, as one line. */
static char *problems_of(const char *spec_text) {
    _cleanup_json_ json_t *spec = parse(spec_text), *problems = json_array();
    assert_null(campaign_parse(spec, "a-1", problems));
    return json_line(problems);
}

static void check_problem(const char *prompt, const char *path, const char *message) {
    _cleanup_free_ char *text = xasprintf("{\"name\":\"a\",\"images\":{\"prompts\":[%s]}}", prompt);
    _cleanup_free_ char *line = problems_of(text);
    _cleanup_free_ char *quoted = xasprintf("\"$.images.prompts[0]%s\"", path);
    if (!strstr(line, quoted) || !strstr(line, message))
        fail_msg("wanted %s ... %s in %s", quoted, message, line);
}

static void test_what_is_not_given_is_filled_in(void **state) {
    _cleanup_campaign_ struct campaign *campaign = campaign_of("{\"prompts\":[{\"prompt\":\"a door\"}]}");
    const struct images *images = &campaign->images;
    const struct image_prompt *prompt = &images->prompts[0];
    assert_int_equal(campaign->workload, WORKLOAD_IMAGES);
    assert_string_equal(images->model, "sdxl-base");
    assert_true(images->sheet && images->metadata && !images->weighted && !images->long_prompts);
    assert_null(prompt->negative);
    assert_int_equal(prompt->count, 1);
    assert_int_equal(prompt->steps, 30);
    assert_true(prompt->guidance == 5 && prompt->rescale == 0);
    assert_true(prompt->width == 0 && prompt->height == 0 && !prompt->scheduler && !prompt->spacing);
}

static const char full[] =
    "{\"model\":\"shapes\",\"sheet\":false,\"metadata\":false,\"syntax\":\"weighted\",\"long_prompts\":true,"
    "\"defaults\":{\"steps\":20,\"negative_prompt\":\"text\",\"loras\":[{\"name\":\"diwali\",\"weight\":0.5}]},"
    "\"prompts\":[{\"prompt\":\"one\",\"seed\":4294967295,\"count\":6,\"width\":1216,\"height\":832,\"guidance\":7.5,"
    "\"rescale\":0.7,\"scheduler\":\"dpmpp_2m_karras\",\"spacing\":\"trailing\",\"enhance\":true},"
    "{\"prompt\":\"\",\"negative_prompt\":null,\"steps\":8,\"loras\":null,\"width\":null},"
    "{\"prompt\":\"three\",\"negative_prompt\":\"\",\"loras\":[{\"name\":\"mine\",\"weight\":-1,"
    "\"file\":\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}]}]}";

static void test_a_prompt_has_the_defaults_that_it_does_not_overrule(void **state) {
    _cleanup_campaign_ struct campaign *campaign = campaign_of(full);
    const struct image_prompt *prompts = campaign->images.prompts;
    assert_string_equal(prompts[0].negative, "text");
    assert_null(prompts[1].negative);
    assert_string_equal(prompts[2].negative, "");
    assert_int_equal(prompts[0].steps, 20);
    assert_int_equal(prompts[1].steps, 8);
    assert_string_equal(prompts[0].scheduler, "dpmpp_2m");
    assert_int_equal(prompts[0].karras, 1);
    assert_int_equal(prompts[1].karras, -1);
    assert_int_equal(prompts[0].lora_count, 1);
    assert_int_equal(prompts[1].lora_count, 0);
    assert_string_equal(prompts[2].loras[0].name, "mine");
    assert_true(prompts[0].seed == UINT32_MAX && prompts[0].enhance && !prompts[1].enhance);
}

static void test_what_is_stored_is_read_again_as_the_same(void **state) {
    _cleanup_campaign_ struct campaign *campaign = campaign_of(full);
    _cleanup_json_ json_t *once = campaign_to_json(campaign), *problems = json_array();
    _cleanup_campaign_ struct campaign *again = campaign_parse(once, "a-1", problems);
    assert_non_null(again);
    _cleanup_json_ json_t *twice = campaign_to_json(again);
    assert_true(json_equal(once, twice));
    assert_null(again->images.prompts[1].negative);
    assert_string_equal(again->images.prompts[2].negative, "");
}

/* A repeated request must ask for the same pictures, and two prompts for different ones. */
static void test_a_seed_that_is_drawn_follows_from_campaign_and_place(void **state) {
    static const char spec[] = "{\"prompts\":[{\"prompt\":\"a\"},{\"prompt\":\"a\",\"seed\":null}]}";
    _cleanup_campaign_ struct campaign *one = campaign_of(spec), *two = campaign_of(spec);
    assert_int_equal(one->images.prompts[0].seed, two->images.prompts[0].seed);
    assert_int_not_equal(one->images.prompts[0].seed, one->images.prompts[1].seed);
    _cleanup_json_ json_t *json = campaign_to_json(one);
    assert_int_equal(
        json_get_integer(json_array_get(json_object_get(json_object_get(json, "images"), "prompts"), 0), "seed", -1),
        one->images.prompts[0].seed);
}

static void test_all_problems_are_reported_at_once(void **state) {
    _cleanup_free_ char *line = problems_of(
        "{\"name\":\"a\",\"video\":\"s3://a/b\",\"images\":{\"model\":\"../x\",\"sheet\":1,\"syntax\":\"loud\","
        "\"colour\":1,\"defaults\":{\"prompt\":\"x\",\"steps\":0},\"prompts\":[{\"steps\":501},7,"
        "{\"prompt\":3,\"count\":10001,\"loras\":[{\"weight\":9},1,{\"name\":\"a\",\"file\":\"/etc/passwd\"}]}]}}");
    static const char *const paths[] = {"$.video",
                                        "$.images.model",
                                        "$.images.sheet",
                                        "$.images.syntax",
                                        "$.images.colour",
                                        "$.images.defaults.prompt",
                                        "$.images.defaults.steps",
                                        "$.images.prompts[0].prompt",
                                        "$.images.prompts[0].steps",
                                        "$.images.prompts[1]",
                                        "$.images.prompts[2].prompt",
                                        "$.images.prompts[2].count",
                                        "$.images.prompts[2].loras[0].name",
                                        "$.images.prompts[2].loras[0].weight",
                                        "$.images.prompts[2].loras[1]",
                                        "$.images.prompts[2].loras[2].file"};
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        _cleanup_free_ char *quoted = xasprintf("\"%s\"", paths[i]);
        if (!strstr(line, quoted))
            fail_msg("%s is not in %s", quoted, line);
    }
}

static void test_single_problems(void **state) {
    check_problem("{\"prompt\":\"a\\nb\"}", ".prompt", "control");
    check_problem("{\"prompt\":\"a\",\"seed\":4294967296}", ".seed", "0 to 4294967295");
    check_problem("{\"prompt\":\"a\",\"seed\":-1}", ".seed", "0 to 4294967295");
    check_problem("{\"prompt\":\"a\",\"seed\":1.5}", ".seed", "whole number");
    check_problem("{\"prompt\":\"a\",\"width\":1024}", ".height", "give both");
    check_problem("{\"prompt\":\"a\",\"width\":1020,\"height\":1024}", ".width", "multiple of 8");
    check_problem("{\"prompt\":\"a\",\"width\":8,\"height\":1024}", ".width", "64 to 4096");
    check_problem("{\"prompt\":\"a\",\"width\":4096,\"height\":4096}", ".width", "4194304");
    check_problem("{\"prompt\":\"a\",\"scheduler\":\"heun\"}", ".scheduler", "dpmpp_2m");
    check_problem("{\"prompt\":\"a\",\"scheduler\":\"_karras\"}", ".scheduler", "dpmpp_2m");
    check_problem("{\"prompt\":\"a\",\"scheduler\":\"lcm_karras\"}", ".scheduler", "or lcm");
    check_problem("{\"prompt\":\"a\",\"spacing\":\"even\"}", ".spacing", "linspace");
    check_problem("{\"prompt\":\"a\",\"loras\":{}}", ".loras", "up to 8");
    check_problem("{\"prompt\":\"a\",\"rescale\":2}", ".rescale", "0 to 1");
}

/* A size that is wrong is one problem, not also a missing one. */
static void test_a_side_that_is_wrong_is_not_called_missing(void **state) {
    _cleanup_free_ char *line =
        problems_of("{\"name\":\"a\",\"images\":{\"prompts\":[{\"prompt\":\"a\",\"width\":9000,\"height\":512}]}}");
    assert_null(strstr(line, "missing"));
    assert_non_null(strstr(line, "64 to 4096"));
}

static void test_a_campaign_has_one_workload_and_ten_thousand_pictures_at_most(void **state) {
    _cleanup_free_ char *both =
        problems_of("{\"name\":\"a\",\"dubs\":[],\"video\":\"s3://a/b\",\"images\":{\"prompts\":[]}}");
    assert_non_null(strstr(both, "both dubs and images"));
    _cleanup_free_ char *none = problems_of("{\"name\":\"a\",\"images\":{\"prompts\":[]}}");
    assert_non_null(strstr(none, "1 to 10000"));
    _cleanup_free_ char *many = problems_of("{\"name\":\"a\",\"images\":{\"prompts\":[{\"prompt\":\"a\",\"count\":"
                                            "5000},{\"prompt\":\"b\",\"count\":5001}]}}");
    assert_non_null(strstr(many, "10001 pictures"));
}

static void test_sizes_beside_those_of_the_training_are_warned_of_once(void **state) {
    _cleanup_campaign_ struct campaign *campaign =
        campaign_of("{\"prompts\":[{\"prompt\":\"a\"},{\"prompt\":\"a\",\"width\":1216,\"height\":832},"
                    "{\"prompt\":\"a\",\"width\":832,\"height\":1216},{\"prompt\":\"a\",\"width\":256,\"height\":64},"
                    "{\"prompt\":\"a\",\"width\":512,\"height\":768},{\"prompt\":\"b\",\"width\":512,\"height\":768},"
                    "{\"prompt\":\"a\",\"width\":512,\"height\":512}]}");
    _cleanup_json_ json_t *warnings = campaign_warnings(campaign);
    assert_int_equal(json_array_size(warnings), 2);
    const json_t *first = json_array_get(warnings, 0), *second = json_array_get(warnings, 1);
    assert_string_equal(json_get_string(first, "path", ""), "$.images.prompts[4].width");
    assert_non_null(strstr(json_get_string(first, "message", ""), "832 x 1216"));
    assert_non_null(strstr(json_get_string(second, "message", ""), "1024 x 1024"));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_given_is_filled_in),
        cmocka_unit_test(test_a_prompt_has_the_defaults_that_it_does_not_overrule),
        cmocka_unit_test(test_what_is_stored_is_read_again_as_the_same),
        cmocka_unit_test(test_a_seed_that_is_drawn_follows_from_campaign_and_place),
        cmocka_unit_test(test_all_problems_are_reported_at_once),
        cmocka_unit_test(test_single_problems),
        cmocka_unit_test(test_a_side_that_is_wrong_is_not_called_missing),
        cmocka_unit_test(test_a_campaign_has_one_workload_and_ten_thousand_pictures_at_most),
        cmocka_unit_test(test_sizes_beside_those_of_the_training_are_warned_of_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
