/* Vectors: the S3 examples in "Signature Calculations for the Authorization Header: Transferring Payload in a
 * Single Chunk" and "Authenticating Requests: Using Query Parameters" of the Amazon S3 API Reference
 * (sig-v4-header-based-auth, sigv4-query-string-auth); get-vanilla, post-vanilla and
 * get-vanilla-query-order-key-case of the AWS Signature Version 4 test suite. */
#include "test.h"

#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/process.h"
#include "store/sigv4.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define S3_SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define SUITE_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

static int64_t ms_of(const char *iso) {
    int64_t ms = 0;
    assert_true(clock_parse_iso(iso, &ms));
    return ms;
}

static struct sigv4_request s3_example(const char *method, const char *path, const struct pair *headers, size_t count) {
    return (struct sigv4_request){.method = method,
                                  .path = path,
                                  .headers = headers,
                                  .header_count = count,
                                  .payload_hash = EMPTY_SHA256,
                                  .region = "us-east-1",
                                  .service = "s3",
                                  .time_ms = ms_of("2013-05-24T00:00:00Z")};
}

static void check(const struct sigv4_request *request, const char *access, const char *secret, const char *wanted) {
    const struct credentials credentials = {(char *)(uintptr_t)access, (char *)(uintptr_t)secret, NULL, 0};
    _cleanup_free_ char *authorization = sigv4_authorization(request, &credentials);
    assert_string_equal(authorization, wanted);
}

static void s3_get_object(void **state) {
    const struct pair headers[] = {{"host", "examplebucket.s3.amazonaws.com"},
                                   {"range", "bytes=0-9"},
                                   {"x-amz-content-sha256", EMPTY_SHA256},
                                   {"x-amz-date", "20130524T000000Z"}};
    struct sigv4_request request = s3_example("GET", "/test.txt", headers, ARRAY_LENGTH(headers));
    check(&request, "AKIAIOSFODNN7EXAMPLE", S3_SECRET,
          "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
          "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
          "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void s3_put_object(void **state) {
    static const char hash[] = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    const struct pair headers[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                   {"host", "examplebucket.s3.amazonaws.com"},
                                   {"x-amz-content-sha256", hash},
                                   {"x-amz-date", "20130524T000000Z"},
                                   {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
    struct sigv4_request request = s3_example("PUT", "/test$file.text", headers, ARRAY_LENGTH(headers));
    request.payload_hash = hash;
    check(&request, "AKIAIOSFODNN7EXAMPLE", S3_SECRET,
          "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
          "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, "
          "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void s3_query_without_value(void **state) {
    const struct pair headers[] = {{"host", "examplebucket.s3.amazonaws.com"},
                                   {"x-amz-content-sha256", EMPTY_SHA256},
                                   {"x-amz-date", "20130524T000000Z"}};
    const struct pair query = {"lifecycle", ""};
    struct sigv4_request request = s3_example("GET", "/", headers, ARRAY_LENGTH(headers));
    request.query = &query;
    request.query_count = 1;
    check(&request, "AKIAIOSFODNN7EXAMPLE", S3_SECRET,
          "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
          "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
          "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void s3_list_objects(void **state) {
    const struct pair headers[] = {{"host", "examplebucket.s3.amazonaws.com"},
                                   {"x-amz-content-sha256", EMPTY_SHA256},
                                   {"x-amz-date", "20130524T000000Z"}};
    const struct pair query[] = {{"prefix", "J"}, {"max-keys", "2"}};
    struct sigv4_request request = s3_example("GET", "/", headers, ARRAY_LENGTH(headers));
    request.query = query;
    request.query_count = 2;
    check(&request, "AKIAIOSFODNN7EXAMPLE", S3_SECRET,
          "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
          "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
          "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void suite(const char *method, const struct pair *query, size_t count, const char *signature) {
    const struct pair headers[] = {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}};
    const struct sigv4_request request = {.method = method,
                                          .path = "/",
                                          .query = query,
                                          .query_count = count,
                                          .headers = headers,
                                          .header_count = 2,
                                          .payload_hash = EMPTY_SHA256,
                                          .region = "us-east-1",
                                          .service = "service",
                                          .time_ms = ms_of("2015-08-30T12:36:00Z")};
    _cleanup_free_ char *wanted =
        xasprintf("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                  "SignedHeaders=host;x-amz-date, Signature=%s",
                  signature);
    check(&request, "AKIDEXAMPLE", SUITE_SECRET, wanted);
}

static void suite_get_vanilla(void **state) {
    suite("GET", NULL, 0, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

static void suite_post_vanilla(void **state) {
    suite("POST", NULL, 0, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
}

static void suite_query_order(void **state) {
    const struct pair query[] = {{"Param2", "value2"}, {"Param1", "value1"}};
    suite("GET", query, 2, "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
}

static void encoding(void **state) {
    _cleanup_buffer_ struct buffer path = {0}, part = {0}, query = {0};
    uri_encode(&path, "/a b/\xe1\x88\xb4~-._=,()+%", true);
    assert_string_equal(path.data, "/a%20b/%E1%88%B4~-._%3D%2C%28%29%2B%25");
    uri_encode(&part, "a/b", false);
    assert_string_equal(part.data, "a%2Fb");
    const struct pair pairs[] = {{"b", "2"}, {"a-b", "x"}, {"a", "z"}, {"a", "y=1"}, {"a0", ""}};
    canonical_query(&query, pairs, ARRAY_LENGTH(pairs));
    assert_string_equal(query.data, "a=y%3D1&a=z&a-b=x&a0=&b=2");
}

int main(void) {
    process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s3_get_object),          cmocka_unit_test(s3_put_object),
        cmocka_unit_test(s3_query_without_value), cmocka_unit_test(s3_list_objects),
        cmocka_unit_test(suite_get_vanilla),      cmocka_unit_test(suite_post_vanilla),
        cmocka_unit_test(suite_query_order),      cmocka_unit_test(encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
