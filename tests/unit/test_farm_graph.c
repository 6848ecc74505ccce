/* Where a campaign begins, and the handfuls that its pictures are drawn in. */
#include "test.h"

#include <string.h>

#include "base/memory.h"
#include "farm/graph.h"
#include "farm/layout.h"

static struct campaign *images_of(const char *images) {
    struct error err;
    _cleanup_free_ char *text = xasprintf("{\"name\":\"n\",\"images\":%s}", images);
    _cleanup_json_ json_t *spec = json_parse(text, strlen(text), &err), *problems = json_array();
    struct campaign *campaign = campaign_parse(spec, "n-1", problems);
    assert_int_equal(json_array_size(problems), 0);
    return campaign;
}

static void pictures_come_in_handfuls_of_their_prompt(void **state) {
    static const struct image_part wanted[] = {{0, 0, 4, 0}, {0, 4, 1, 4}, {1, 0, 1, 5}, {2, 0, 1, 6}, {2, 1, 1, 7}};
    _cleanup_campaign_ struct campaign *campaign =
        images_of("{\"prompts\":[{\"prompt\":\"a\",\"count\":5},{\"prompt\":\"b\",\"width\":512,\"height\":512},"
                  "{\"prompt\":\"c\",\"count\":2,\"width\":2048,\"height\":2048}]}");
    struct image_part part;
    assert_int_equal(images_job_count(&campaign->images), ARRAY_LENGTH(wanted));
    assert_int_equal(images_picture_count(&campaign->images), 8);
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        assert_true(images_part(&campaign->images, i, &part));
        assert_int_equal(part.prompt, wanted[i].prompt);
        assert_int_equal(part.first, wanted[i].first);
        assert_int_equal(part.count, wanted[i].count);
        assert_int_equal(part.first_picture, wanted[i].first_picture);
    }
    assert_false(images_part(&campaign->images, ARRAY_LENGTH(wanted), &part));
}

static void a_campaign_of_images_begins_with_all_its_jobs(void **state) {
    _cleanup_campaign_ struct campaign *campaign = images_of("{\"prompts\":[{\"prompt\":\"a\",\"count\":5}]}");
    _cleanup_free_ struct job_spec *jobs = NULL;
    assert_int_equal(graph_first(campaign, &jobs), 3);
    assert_string_equal(jobs[1].id, "n-1/image/0001");
    for (int i = 0; i < 2; i++) {
        assert_string_equal(jobs[i].next, "n-1/sheet");
        assert_int_equal(jobs[i].waits_for, 0);
    }
    assert_string_equal(jobs[2].id, "n-1/sheet");
    assert_int_equal(jobs[2].waits_for, 2);
    assert_string_equal(jobs[2].next, "");
}

static void without_a_sheet_nothing_waits(void **state) {
    _cleanup_campaign_ struct campaign *campaign = images_of("{\"prompts\":[{\"prompt\":\"a\"}],\"sheet\":false}");
    _cleanup_free_ struct job_spec *jobs = NULL;
    assert_int_equal(graph_first(campaign, &jobs), 1);
    assert_string_equal(jobs[0].next, "");
}

static void a_campaign_of_dubs_begins_with_its_plan(void **state) {
    struct campaign campaign = {.id = (char *)"n-1"};
    _cleanup_free_ struct job_spec *jobs = NULL;
    assert_int_equal(graph_first(&campaign, &jobs), 1);
    assert_string_equal(jobs[0].id, "n-1/plan");
    assert_string_equal(jobs[0].affinity, "");
}

static void the_same_model_and_loras_have_one_affinity(void **state) {
    _cleanup_campaign_ struct campaign *campaign =
        images_of("{\"prompts\":[{\"prompt\":\"a\"},{\"prompt\":\"b\",\"steps\":3},"
                  "{\"prompt\":\"c\",\"loras\":[{\"name\":\"diwali\",\"weight\":0.8}]},"
                  "{\"prompt\":\"d\",\"loras\":[{\"name\":\"diwali\",\"weight\":0.9}]},"
                  "{\"prompt\":\"e\",\"loras\":[{\"name\":\"diwali\",\"file\":\"s3://b/diwali\",\"weight\":0.8}]}]}");
    char texts[5][AFFINITY_MAX + 1];
    for (size_t i = 0; i < 5; i++)
        images_affinity(&campaign->images, i, texts[i]);
    assert_string_equal(texts[0], texts[1]);
    for (size_t i = 1; i < 5; i++)
        for (size_t k = i + 1; k < 5; k++)
            assert_string_not_equal(texts[i], texts[k]);
}

static void what_lies_beside_an_artifact_is_of_the_same_attempt(void **state) {
    struct job_id job = {.campaign = "n-1", .kind = KIND_IMAGE, .index = 7};
    _cleanup_free_ char *artifact = layout_artifact(&job, "2-0123456789"), *beside = layout_beside(artifact, "0.png");
    assert_string_equal(artifact, "campaigns/n-1/image/0007.2-0123456789.json");
    assert_string_equal(beside, "campaigns/n-1/image/0007.2-0123456789.0.png");
}

static void another_lips_network_has_an_affinity(void **state) {
    char usual[AFFINITY_MAX + 1], other[AFFINITY_MAX + 1];
    graph_lips_affinity(CAMPAIGN_LIPS, usual);
    graph_lips_affinity("wav2lip", other);
    assert_string_equal(usual, "");
    assert_int_equal(strlen(other), AFFINITY_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_come_in_handfuls_of_their_prompt),
        cmocka_unit_test(a_campaign_of_images_begins_with_all_its_jobs),
        cmocka_unit_test(without_a_sheet_nothing_waits),
        cmocka_unit_test(a_campaign_of_dubs_begins_with_its_plan),
        cmocka_unit_test(the_same_model_and_loras_have_one_affinity),
        cmocka_unit_test(what_lies_beside_an_artifact_is_of_the_same_attempt),
        cmocka_unit_test(another_lips_network_has_an_affinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
