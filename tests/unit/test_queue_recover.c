/* Bringing campaigns back from the store. */
#include "queue_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "../chaos/small_job.h"
#include "base/process.h"
#include "recover/recover.h"

struct farm {
    const struct redis_fixture *redis;
    char *directory;
    struct store *store;
    struct queue *queue;
};

static void farm_close(struct farm *farm) {
    queue_close(farm->queue);
    store_close(farm->store);
    tree_remove(farm->directory);
    free(farm->directory);
}
#define _cleanup_farm_ _cleanup_(farm_close)

static struct farm farm_open(void **state) {
    struct error err;
    struct farm farm = {.redis = *state, .queue = fixture_open_empty(*state)};
    farm.directory = directory_for_test();
    _cleanup_free_ char *url = xasprintf("file://%s", farm.directory);
    farm.store = store_open(url, NULL, &err);
    assert_ok(farm.store, err);
    return farm;
}

static void film(struct farm *farm, const char *id, const char *languages, int segments) {
    struct error err;
    _cleanup_campaign_ struct campaign *campaign = small_campaign(id, "batch", languages, segments);
    assert_non_null(campaign);
    assert_ok(small_submit(farm->queue, farm->store, campaign, &err), err);
}

/* Claims and does up to `most` jobs; returns how many there were. */
static int work(struct farm *farm, int most) {
    struct error err;
    struct claim claim;
    int done = 0;
    for (; done < most && claim_for(farm->queue, "w1", 60000, &claim); done++)
        assert_ok(small_run(farm->queue, farm->store, "w1", &claim, &err), err);
    return done;
}

static void wipe(const struct farm *farm) { freeReplyObject(redis_fixture_command(farm->redis, "FLUSHALL")); }

/* Restores; returns the member `what` of the outcome and checks its state. */
static int64_t recovered(struct farm *farm, const char *id, bool dry_run, const char *state, const char *what) {
    struct error err;
    _cleanup_json_ json_t *outcome = recover_campaign(farm->queue, farm->store, id, false, dry_run, &err);
    assert_ok(outcome, err);
    assert_string_equal(json_get_string(outcome, "state", ""), state);
    return json_get_integer(outcome, what, -1);
}

enum { FILM_JOBS = 1 + 4 + 8 + 2 }; /* plan, tracks, dubs in two languages, joins */

/* Wherever Redis lost everything, each job is done once, before or after. */
static void test_a_wipe_at_any_moment_costs_no_published_job(void **state) {
    _cleanup_farm_ struct farm farm = farm_open(state);
    for (int before = 0; before <= FILM_JOBS; before++) {
        _cleanup_free_ char *id = xasprintf("film-%d", before);
        film(&farm, id, "hi ta", 4);
        assert_int_equal(work(&farm, before), before);
        wipe(&farm);
        assert_int_equal(recovered(&farm, id, true, before == FILM_JOBS ? "finished" : "running", "restored"), before);
        assert_int_equal(recovered(&farm, id, false, before == FILM_JOBS ? "finished" : "running", "restored"), before);
        assert_int_equal(recovered(&farm, id, false, before == FILM_JOBS ? "finished" : "running", "restored"), 0);
        assert_int_equal(work(&farm, 100), FILM_JOBS - before);
        assert_string_equal(campaign_state(farm.queue, id), "done");
        assert_idle(farm.queue);
    }
}

static void pictures(struct farm *farm, const char *id, int jobs, bool sheet) {
    struct error err;
    _cleanup_campaign_ struct campaign *campaign = small_images(id, "batch", "a", jobs, sheet);
    assert_non_null(campaign);
    assert_ok(small_submit(farm->queue, farm->store, campaign, &err), err);
}

static void test_a_wipe_at_any_moment_costs_no_published_picture(void **state) {
    enum { PICTURES = 4 };
    _cleanup_farm_ struct farm farm = farm_open(state);
    for (int i = 0; i < 2 * (PICTURES + 1); i++) {
        const bool sheet = i % 2;
        const int before = i / 2 + (sheet && i / 2 == PICTURES), all = PICTURES + sheet;
        const char *then = before == all ? "finished" : "running";
        _cleanup_free_ char *id = xasprintf("show-%d", i);
        pictures(&farm, id, PICTURES, sheet);
        assert_int_equal(work(&farm, before), before);
        wipe(&farm);
        assert_int_equal(recovered(&farm, id, true, then, "queued"), before == all ? 0 : all - before);
        assert_int_equal(recovered(&farm, id, false, then, "restored"), before);
        assert_int_equal(recovered(&farm, id, false, then, "restored"), 0);
        assert_int_equal(work(&farm, 100), all - before);
        assert_string_equal(campaign_state(farm.queue, id), "done");
        assert_idle(farm.queue);
    }
}

/* A dead picture has no receipt, so it is tried again, and the sheet is kept as it is. */
static void test_a_picture_that_was_dead_runs_again(void **state) {
    _cleanup_farm_ struct farm farm = farm_open(state);
    pictures(&farm, "show", 2, true);
    struct claim claim = claim_job(farm.queue, "w1", "show/image/0000");
    fail_with(farm.queue, "w1", &claim, ERR_MEDIA_EMPTY);
    assert_int_equal(work(&farm, 100), 2);
    assert_string_equal(campaign_state(farm.queue, "show"), "partial");
    wipe(&farm);
    assert_int_equal(recovered(&farm, "show", false, "running", "restored"), 2);
    assert_job_state(farm.queue, "show/sheet", "done");
    assert_int_equal(work(&farm, 100), 1);
    assert_string_equal(campaign_state(farm.queue, "show"), "done");
}

static void test_cancelled_and_old_pictures_are_left(void **state) {
    _cleanup_farm_ struct farm farm = farm_open(state);
    struct error err;
    pictures(&farm, "show", 2, true);
    work(&farm, 1);
    assert_ok(queue_cancel(farm.queue, "show", &err), err);
    assert_int_equal(recovered(&farm, "show", false, "cancelled", "restored"), 0);
    wipe(&farm);
    assert_ok(small_put(farm.store, "campaigns/show/cancelled.json", "{}", 0, &err), err);
    assert_int_equal(recovered(&farm, "show", false, "cancelled", "restored"), 0);
    pictures(&farm, "old", 2, true);
    work(&farm, 1);
    wipe(&farm);
    _cleanup_free_ char *path = xasprintf("%s/campaigns/old/spec.json", farm.directory);
    const struct timespec last_week[] = {{time(NULL) - 8 * 24 * 3600, 0}, {time(NULL) - 8 * 24 * 3600, 0}};
    assert_int_equal(utimensat(AT_FDCWD, path, last_week, 0), 0);
    assert_int_equal(recovered(&farm, "old", false, "old", "restored"), 0);
}

static void test_what_redis_knows_is_left_alone(void **state) {
    _cleanup_farm_ struct farm farm = farm_open(state);
    struct error err;
    film(&farm, "film", "hi", 4);
    work(&farm, 3);
    struct claim held = claim_one(farm.queue, "w1");
    assert_int_equal(recovered(&farm, "film", false, "running", "restored"), 0);
    assert_int_equal(recovered(&farm, "film", false, "running", "kept"), 3);
    assert_ok(small_run(farm.queue, farm.store, "w1", &held, &err), err);
    assert_ok(queue_cancel(farm.queue, "film", &err), err);
    assert_int_equal(recovered(&farm, "film", false, "cancelled", "restored"), 0);
    assert_string_equal(campaign_state(farm.queue, "film"), "cancelled");
}

/* A Redis of some seconds ago: it has a job leased, or ready, that was published since. */
static void test_an_older_redis_catches_up(void **state) {
    _cleanup_farm_ struct farm farm = farm_open(state);
    struct error err;
    film(&farm, "film", "hi", 2);
    work(&farm, 1);
    struct claim zombie = claim_job(farm.queue, "w1", "film/track/0000");
    _cleanup_free_ char *key = layout_receipt(&zombie.job), *artifact = layout_artifact(&zombie.job, "1-0123456789");
    _cleanup_free_ char *receipt = xasprintf("{\"artifact\":\"%s\",\"report\":{\"frames\":1}}", artifact);
    assert_ok(small_put(farm.store, artifact, "x", 0, &err) && small_put(farm.store, key, receipt, 0, &err), err);
    assert_int_equal(recovered(&farm, "film", false, "running", "restored"), 1);
    assert_code(small_run(farm.queue, farm.store, "w1", &zombie, &err), ERR_QUEUE_STALE, err);
    assert_string_equal(job_text(farm.queue, "film/track/0000", "artifact"), artifact);
    assert_int_equal(work(&farm, 100), 1 + 2 + 1);
    assert_string_equal(campaign_state(farm.queue, "film"), "done");
}

static void write_text(struct farm *farm, const char *key, const char *text) {
    struct error err;
    assert_ok(small_put(farm->store, key, text, 0, &err), err);
}

/* Claims the only track; returns its claim. */
static struct claim claim_track(struct farm *farm) {
    film(farm, "film", "hi", 1);
    work(farm, 1);
    return claim_job(farm->queue, "w1", "film/track/0000");
}

/* Another attempt, of before Redis lost the job, has settled what its artifact is, and others may have used it. */
static void test_what_a_receipt_names_is_published(void **state) {
    _cleanup_farm_ struct farm farm = farm_open(state);
    struct error err;
    struct claim claim = claim_track(&farm);
    write_text(&farm, "campaigns/film/track/0000.other.trk", "x");
    write_text(&farm, "campaigns/film/receipts/track/0000.json",
               "{\"artifact\":\"campaigns/film/track/0000.other.trk\"}");
    assert_ok(small_run(farm.queue, farm.store, "w1", &claim, &err), err);
    assert_string_equal(job_text(farm.queue, "film/track/0000", "artifact"), "campaigns/film/track/0000.other.trk");
}

static void test_a_receipt_whose_artifact_is_gone_is_written_anew(void **state) {
    _cleanup_farm_ struct farm farm = farm_open(state);
    struct error err;
    struct claim claim = claim_track(&farm);
    write_text(&farm, "campaigns/film/receipts/track/0000.json",
               "{\"artifact\":\"campaigns/film/track/0000.gone.trk\"}");
    assert_ok(small_run(farm.queue, farm.store, "w1", &claim, &err), err);
    _cleanup_free_ char *own = layout_artifact(&claim.job, claim.stamp);
    assert_string_equal(job_text(farm.queue, "film/track/0000", "artifact"), own);
    _cleanup_receipt_ struct receipt receipt = {0};
    bool found;
    assert_ok(receipt_read(farm.store, &claim.job, &receipt, &found, &err) && found, err);
    assert_string_equal(receipt.artifact, own);
}

/* What the store does not remember is not published. */
static void test_without_a_receipt_nothing_is_published(void **state) {
    _cleanup_farm_ struct farm farm = farm_open(state);
    struct error err;
    struct claim claim = claim_track(&farm);
    write_text(&farm, "campaigns/film/receipts/track", "a file where the folder would be");
    assert_false(small_run(farm.queue, farm.store, "w1", &claim, &err));
    assert_string_equal(job_text(farm.queue, "film/track/0000", "state"), "leased");
}

/* A dub's receipt without its track's: the track, which another dub needs, is done again; the dub is not, and the join
 * still counts it. */
static void test_a_lost_receipt_costs_that_job_only(void **state) {
    _cleanup_farm_ struct farm farm = farm_open(state);
    struct error err;
    film(&farm, "film", "hi ta", 3);
    work(&farm, 1 + 3 + 1);
    assert_ok(store_delete(farm.store, "campaigns/film/receipts/track/0000.json", &err), err);
    wipe(&farm);
    assert_int_equal(recovered(&farm, "film", false, "running", "restored"), 4);
    assert_int_equal(work(&farm, 100), 1 + 5 + 2);
    assert_string_equal(campaign_state(farm.queue, "film"), "done");
}

/* Its key is the same for every attempt. */
static void test_a_plan_without_a_receipt_keeps_its_artifact(void **state) {
    _cleanup_farm_ struct farm farm = farm_open(state);
    struct error err;
    film(&farm, "film", "hi", 2);
    work(&farm, 1 + 2);
    assert_ok(store_delete(farm.store, "campaigns/film/receipts/plan.json", &err), err);
    wipe(&farm);
    recovered(&farm, "film", false, "running", "restored");
    assert_string_equal(job_text(farm.queue, "film/plan", "state"), "done");
    assert_string_equal(job_text(farm.queue, "film/plan", "artifact"), "campaigns/film/plan.json");
}

static void test_an_artifact_that_is_gone_is_made_again(void **state) {
    _cleanup_farm_ struct farm farm = farm_open(state);
    struct error err;
    film(&farm, "film", "hi", 2);
    work(&farm, 1 + 2 + 1);
    _cleanup_free_ char *gone = xstrdup(job_text(farm.queue, "film/hi/dub/0000", "artifact"));
    assert_ok(store_delete(farm.store, gone, &err), err);
    wipe(&farm);
    assert_int_equal(recovered(&farm, "film", false, "running", "restored"), 3);
    assert_int_equal(work(&farm, 100), 1 + 1 + 1);
    assert_string_equal(campaign_state(farm.queue, "film"), "done");
}

static void test_cancelled_campaigns_stay_so(void **state) {
    _cleanup_farm_ struct farm farm = farm_open(state);
    struct error err;
    film(&farm, "film", "hi", 2);
    work(&farm, 2);
    assert_ok(small_put(farm.store, "campaigns/film/cancelled.json", "{}", 0, &err), err);
    wipe(&farm);
    recovered(&farm, "film", false, "cancelled", "restored");
    assert_int_equal(work(&farm, 1), 0);
}

static void test_an_empty_redis_is_noticed(void **state) {
    _cleanup_farm_ struct farm farm = farm_open(state);
    struct error err;
    bool needed;
    assert_ok(recover_is_needed(farm.queue, farm.store, &needed, &err), err);
    assert_false(needed);
    film(&farm, "film", "hi", 2);
    assert_ok(recover_is_needed(farm.queue, farm.store, &needed, &err), err);
    assert_false(needed);
    wipe(&farm);
    assert_ok(recover_is_needed(farm.queue, farm.store, &needed, &err), err);
    assert_true(needed);
    _cleanup_json_ json_t *ids = recover_list(farm.store, &err);
    assert_int_equal(json_array_size(ids), 1);
}

struct restorer {
    struct farm *farm;
    struct queue *queue;
    const char *worker; /* NULL: restores; else works */
    struct error err;
    bool failed;
};

static void *restore_or_work(void *context) {
    struct restorer *self = context;
    struct claim claim;
    if (!self->worker) {
        _cleanup_json_ json_t *outcome =
            recover_campaign(self->queue, self->farm->store, "film", false, false, &self->err);
        self->failed = !outcome;
        return NULL;
    }
    /* Refused work is the point: somebody else has restored the job meanwhile. */
    for (int idle = 0; idle < 20; idle++)
        while (claim_for(self->queue, self->worker, 60000, &claim)) {
            idle = 0;
            if (!small_run(self->queue, self->farm->store, self->worker, &claim, &self->err))
                self->failed |= self->err.code != ERR_QUEUE_STALE;
        }
    return NULL;
}

static void test_two_restore_while_two_work(void **state) {
    _cleanup_farm_ struct farm farm = farm_open(state);
    film(&farm, "film", "hi ta", 40);
    work(&farm, 90);
    wipe(&farm);
    struct restorer all[] = {{&farm}, {&farm}, {&farm, .worker = "w2"}, {&farm, .worker = "w3"}};
    pthread_t threads[ARRAY_LENGTH(all)];
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        all[i].queue = fixture_open(*state);
        pthread_create(&threads[i], NULL, restore_or_work, &all[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        pthread_join(threads[i], NULL);
        queue_close(all[i].queue);
        if (all[i].failed)
            fail_msg("%s", all[i].err.message);
    }
    work(&farm, 1000);
    assert_string_equal(campaign_state(farm.queue, "film"), "done");
    assert_idle(farm.queue);
}

int main(void) {
    process_begin();
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_wipe_at_any_moment_costs_no_published_job),
        cmocka_unit_test(test_a_wipe_at_any_moment_costs_no_published_picture),
        cmocka_unit_test(test_a_picture_that_was_dead_runs_again),
        cmocka_unit_test(test_cancelled_and_old_pictures_are_left),
        cmocka_unit_test(test_what_redis_knows_is_left_alone),
        cmocka_unit_test(test_an_older_redis_catches_up),
        cmocka_unit_test(test_what_a_receipt_names_is_published),
        cmocka_unit_test(test_a_receipt_whose_artifact_is_gone_is_written_anew),
        cmocka_unit_test(test_without_a_receipt_nothing_is_published),
        cmocka_unit_test(test_a_lost_receipt_costs_that_job_only),
        cmocka_unit_test(test_a_plan_without_a_receipt_keeps_its_artifact),
        cmocka_unit_test(test_an_artifact_that_is_gone_is_made_again),
        cmocka_unit_test(test_cancelled_campaigns_stay_so),
        cmocka_unit_test(test_an_empty_redis_is_noticed),
        cmocka_unit_test(test_two_restore_while_two_work),
    };
    return cmocka_run_group_tests(tests, redis_fixture_setup, redis_fixture_teardown);
}
