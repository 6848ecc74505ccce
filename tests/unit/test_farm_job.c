#include "test.h"

#include "base/memory.h"
#include "farm/layout.h"

static void assert_round_trip(const char *text, enum job_kind kind, const char *language, int index) {
    struct job_id id;
    assert_true(job_id_parse(text, &id));
    assert_string_equal(id.campaign, "diwali-1");
    assert_int_equal(id.kind, kind);
    assert_string_equal(id.language, language);
    assert_int_equal(id.index, index);
    char again[JOB_ID_MAX + 1];
    job_id_format(&id, again);
    assert_string_equal(again, text);
}

static void test_ids_survive_a_round_trip(void **state) {
    assert_round_trip("diwali-1/plan", KIND_PLAN, "", 0);
    assert_round_trip("diwali-1/track/0007", KIND_TRACK, "", 7);
    assert_round_trip("diwali-1/pt-BR/dub/12345", KIND_DUB, "pt-BR", 12345);
    assert_round_trip("diwali-1/hi/join", KIND_JOIN, "hi", 0);
}

static void test_what_is_no_id_is_refused(void **state) {
    static const char *const bad[] = {"",
                                      "a",
                                      "a/",
                                      "a/plan/0001",
                                      "a/hi/plan",
                                      "a/track",
                                      "a/track/7",
                                      "a/hi/dub",
                                      "a/dub/0001",
                                      "a/hi/join/0001",
                                      "A/plan",
                                      "../plan",
                                      "a/plan/",
                                      "a/hi/track/0001",
                                      "a//plan",
                                      "a/track/-001",
                                      "a/track/000x"};
    struct job_id id;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        if (job_id_parse(bad[i], &id))
            fail_msg("took \"%s\" for a job id", bad[i]);
}

static void test_keys(void **state) {
    struct job_id dub = {.campaign = "c-1", .kind = KIND_DUB, .language = "hi", .index = 7};
    _cleanup_free_ char *artifact = layout_artifact(&dub, "2-1f3a9c0b2d"), *receipt = layout_receipt(&dub);
    assert_string_equal(artifact, "campaigns/c-1/hi/0007.2-1f3a9c0b2d.mp4");
    assert_string_equal(receipt, "campaigns/c-1/receipts/hi/dub/0007.json");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_survive_a_round_trip),
        cmocka_unit_test(test_what_is_no_id_is_refused),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
