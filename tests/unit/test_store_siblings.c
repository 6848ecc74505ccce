/* Stores of other buckets, as specs name them. No server is asked. */
#include "directory_fixture.h"

#include "base/process.h"
#include "base/thread.h"
#include "store/s3_store.h"
#include "store/store.h"

enum { BUCKETS = 100 };

static int count_open(struct store *store) {
    int count = 0;
    for (struct store *sibling = store->siblings.first; sibling; sibling = sibling->next)
        count++;
    return count;
}

static struct store *take_sibling(struct store *store, int number) {
    struct error err;
    char bucket[20];
    snprintf(bucket, sizeof bucket, "bucket-%d", number);
    struct store *sibling = store_sibling(store, bucket, &err);
    assert_ok(sibling, err);
    return sibling;
}

static struct store *open_store(const char *url) {
    struct error err;
    struct store *store = store_open(url, &(struct store_options){.endpoint = "http://127.0.0.1:1"}, &err);
    assert_ok(store, err);
    return store;
}

/* One spec may name 201 buckets, and each used to have connections and credentials of its own for ever. */
static void check_siblings_of(const char *url) {
    _cleanup_store_ struct store *store = open_store(url);
    struct store *held = take_sibling(store, 0);
    struct s3_link *link = s3_store_link(held);
    for (int i = 1; i < BUCKETS; i++) {
        struct store *sibling = take_sibling(store, i);
        assert_ptr_equal(s3_store_link(sibling), link);
        sibling->requests = 1;
        store_release(sibling);
        assert_in_range(count_open(store), 1, SIBLINGS_MAX + 1); /* and the one in use */
    }
    assert_string_equal(held->url, "s3://bucket-0");
    assert_ptr_equal(take_sibling(store, 0), held);
    store_release(held);
    store_release(held);
    assert_in_range(count_open(store), 1, SIBLINGS_MAX);
    struct store_totals totals;
    store_totals_get(store, &totals);
    assert_int_equal(totals.requests, BUCKETS - 1);
}

static void few_stay_open(void **state) {
    _cleanup_free_ char *url = xasprintf("file://%s/store", (const char *)*state);
    check_siblings_of(url);
    check_siblings_of("s3://farm/prefix");
}

static void the_farm_s_own_bucket_is_the_farm(void **state) {
    struct error err;
    _cleanup_store_ struct store *store = open_store("s3://farm");
    assert_ptr_equal(store_sibling(store, "farm", &err), store);
    store_release(store);
    assert_code(store_sibling(store, "NOT A BUCKET", &err), ERR_STORE_INVALID_URL, err);
    assert_int_equal(count_open(store), 0);
}

static void *take_many(void *store) {
    for (int i = 0; i < 2000; i++)
        store_release(take_sibling(store, i * 7 % 30));
    return NULL;
}

static void threads_share_them(void **state) {
    struct error err;
    pthread_t threads[4];
    _cleanup_store_ struct store *store = open_store("s3://farm");
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert_ok(thread_start(&threads[i], "siblings", take_many, store, &err), err);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        pthread_join(threads[i], NULL);
    assert_in_range(count_open(store), 1, SIBLINGS_MAX);
}

int main(void) {
    process_begin();
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(few_stay_open),
        cmocka_unit_test(the_farm_s_own_bucket_is_the_farm),
        cmocka_unit_test(threads_share_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
