#include "test.h"

#include <string.h>

#include "base/memory.h"
#include "farm/campaign.h"

static json_t *parse(const char *text) {
    struct error err;
    json_t *json = json_parse(text, strlen(text), &err);
    assert_non_null(json);
    return json;
}

/* Parses a spec that must be refused and answers its problems as one line. */
static char *problems_of(const char *text) {
    _cleanup_json_ json_t *spec = parse(text), *problems = json_array();
    assert_null(campaign_parse(spec, "id", problems));
    return json_line(problems);
}

#define assert_problem(spec, path, message)                                                                            \
    do {                                                                                                               \
        _cleanup_free_ char *line_ = problems_of(spec);                                                                \
        if (!strstr(line_, "\"" path "\"") || !strstr(line_, message))                                                 \
            fail_msg("wanted %s ... %s in %s", path, message, line_);                                                  \
    } while (0)

#define GOOD_DUBS "\"dubs\":[{\"language\":\"hi\",\"audio\":\"s3://in/hi.wav\"}]"

static const char full[] =
    "{\"name\":\"diwali-2026\",\"class\":\"urgent\",\"deadline\":\"2026-11-08T18:00:00+05:30\",\"budget_"
    "usd\":12.5,"
    "\"video\":\"s3://in/diwali/master.mp4\",\"dubs\":[{\"language\":\"hi\",\"audio\":\"s3://in/diwali/"
    "hi.wav\"},"
    "{\"language\":\"pt-BR\",\"audio\":"
    "\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}],"
    "\"options\":{\"lips\":\"lips-basic\",\"enhance\":true,\"sync\":\"bounce\",\"segment_seconds\":5,"
    "\"speaker\":{\"point\":[0.25,0.5]},\"quality\":20}}";

static void test_full_spec_survives_a_round_trip(void **state) {
    _cleanup_json_ json_t *spec = parse(full), *problems = json_array();
    _cleanup_campaign_ struct campaign *campaign = campaign_parse(spec, "diwali-1", problems);
    assert_non_null(campaign);
    assert_int_equal(campaign->class, CLASS_URGENT);
    assert_int_equal(campaign->deadline_ms, 1794141000000);
    assert_int_equal(campaign->dub_count, 2);
    assert_int_equal(campaign->options.sync, SYNC_BOUNCE);
    assert_int_equal(campaign->options.speaker.kind, SPEAKER_POINT);
    _cleanup_json_ json_t *once = campaign_to_json(campaign);
    _cleanup_campaign_ struct campaign *again = campaign_parse(once, "diwali-1", problems);
    assert_non_null(again);
    _cleanup_json_ json_t *twice = campaign_to_json(again);
    assert_true(json_equal(once, twice));
}

static void test_defaults(void **state) {
    _cleanup_json_ json_t *spec = parse("{\"name\":\"a\",\"video\":\"s3://b/k\"," GOOD_DUBS "}"),
                          *problems = json_array();
    _cleanup_campaign_ struct campaign *campaign = campaign_parse(spec, "a", problems);
    assert_non_null(campaign);
    assert_int_equal(campaign->class, CLASS_BATCH);
    assert_string_equal(campaign->options.lips, "lips-basic");
    assert_int_equal(campaign->options.quality, 18);
    assert_true(campaign->options.segment_seconds == 10);
}

static void test_all_problems_are_reported_at_once(void **state) {
    _cleanup_free_ char *line = problems_of(
        "{\"name\":7,\"class\":\"soon\",\"deadline\":\"tomorrow\",\"video\":\"http://x/y\",\"color\":1,"
        "\"dubs\":[{\"language\":\"hi\",\"audio\":\"s3://in/../x\"},{\"language\":\"HI\",\"audio\":\"s3://in/"
        "b\"},4],"
        "\"options\":{\"sync\":\"stretch\",\"quality\":99,\"enhance\":\"yes\",\"speaker\":\"tallest\","
        "\"zoom\":2}}");
    static const char *const paths[] = {
        "$.name",         "$.class",           "$.deadline",         "$.video",
        "$.color",        "$.dubs[0].audio",   "$.dubs[1].language", "$.dubs[2]",
        "$.options.sync", "$.options.quality", "$.options.enhance",  "$.options.speaker",
        "$.options.zoom"};
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        _cleanup_free_ char *quoted = xasprintf("\"%s\"", paths[i]);
        assert_non_null(strstr(line, quoted));
    }
}

static void test_single_problems(void **state) {
    assert_problem("[]", "$", "not a JSON object");
    assert_problem("{}", "$.video", "is missing");
    assert_problem("{\"name\":\"a\",\"video\":\"s3://b\"," GOOD_DUBS "}", "$.video", "bucket and a key");
    assert_problem("{\"name\":\"a\",\"video\":\"sha256:abc\"," GOOD_DUBS "}", "$.video", "64 lower-case");
    assert_problem("{\"name\":\"a\",\"video\":\"file:///etc/passwd\"," GOOD_DUBS "}", "$.video", "is not s3://");
    assert_problem("{\"name\":\"a\",\"video\":\"s3://b/a//c\"," GOOD_DUBS "}", "$.video", "empty");
    assert_problem("{\"name\":\"a\",\"video\":\"s3://b/k\",\"dubs\":[]}", "$.dubs", "1 to 200");
    assert_problem("{\"name\":\"a\",\"video\":\"s3://b/k\",\"dubs\":[{\"language\":\"../x\",\"audio\":\"s3://b/k\"}]}",
                   "$.dubs[0].language", "language tag");
    assert_problem("{\"name\":\"a\",\"video\":\"s3://b/k\"," GOOD_DUBS ",\"options\":{\"quality\":18.7}}",
                   "$.options.quality", "whole number from 0 to 51");
    assert_problem("{\"name\":\"a\\u0001\",\"video\":\"s3://b/k\"," GOOD_DUBS "}", "$.name", "control");
}

static void test_ten_thousand_dubs_are_one_problem(void **state) {
    _cleanup_json_ json_t *spec = parse("{\"name\":\"a\",\"video\":\"s3://b/k\",\"dubs\":[]}"),
                          *problems = json_array();
    for (int i = 0; i < 10000; i++)
        json_array_append_new(json_object_get(spec, "dubs"), json_integer(i));
    assert_null(campaign_parse(spec, "a", problems));
    assert_int_equal(json_array_size(problems), 1);
}

static void test_ids(void **state) {
    _cleanup_free_ char *a = campaign_make_id("Diwali 2026: Größe!", "key"),
                        *b = campaign_make_id("Diwali 2026", "key");
    assert_int_equal(strncmp(a, "diwali-2026-gr-e-", 17), 0);
    assert_true(campaign_id_is_valid(a));
    assert_string_equal(strrchr(a, '-'), strrchr(b, '-'));
    _cleanup_free_ char *nameless = campaign_make_id("दिवाली", "key");
    assert_true(campaign_id_is_valid(nameless));
    assert_false(campaign_id_is_valid("../x"));
    assert_false(campaign_id_is_valid(""));
    assert_false(campaign_id_is_valid("-a"));
}

static void test_languages(void **state) {
    static const char *const good[] = {"hi", "pt-BR", "yue", "zh-Hant-TW", "es-419"};
    static const char *const bad[] = {"",      "h",  "hind", "hi-", "hi-x", "hi--IN", "hi/IN", "hi-123456789",
                                      "track", "..", "hi_IN"};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
        assert_true(language_is_valid(good[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_false(language_is_valid(bad[i]));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_spec_survives_a_round_trip),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_all_problems_are_reported_at_once),
        cmocka_unit_test(test_single_problems),
        cmocka_unit_test(test_ten_thousand_dubs_are_one_problem),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_languages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
