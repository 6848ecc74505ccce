#include "test.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/process.h"
#include "store/xml.h"

static void check(const char *xml, const char *tag, const char *wanted) {
    _cleanup_free_ char *text = xml_text(xml, strlen(xml), tag);
    if (wanted)
        assert_string_equal(text, wanted);
    else
        assert_null(text);
}

static void finds_elements(void **state) {
    check("<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code></Error>", "Code", "NoSuchKey");
    check("<A xmlns=\"u\">x</A>", "A", "x");
    check("<Keys>no</Keys><Key>yes</Key>", "Key", "yes");
    check("<Key/>", "Key", "");
    check("<Key></Key>", "Key", "");
    check("<Other>x</Other>", "Key", NULL);
}

static void survives_damage(void **state) {
    static const char *const broken[] = {"", "<", "<Key", "<Key>", "<Key>x", "<Key>x</Ke", "Key>x</Key>", "<Key attr"};
    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++)
        check(broken[i], "Key", NULL);
}

static void decodes_entities(void **state) {
    check("<K>a&amp;b&lt;&gt;&quot;&apos;</K>", "K", "a&b<>\"'");
    check("<K>&#65;&#x42;&#xe9;&#x20ac;&#x1f600;</K>", "K", "AB\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    check("<K>&amp;lt;</K>", "K", "&lt;");
    check("<K>a & b &; &#; &#x110000; &#0; &unknown; &</K>", "K", "a & b &; &#; &#x110000; &#0; &unknown; &");
}

static void walks_a_list(void **state) {
    const char *cursor = "<L><C><K>1</K></C><C><K>2</K></C></L>", *inside;
    size_t length, count = 0;
    while (xml_next(&cursor, "C", &inside, &length)) {
        _cleanup_free_ char *key = xml_text(inside, length, "K");
        assert_int_equal(key[0], '1' + (int)count++);
    }
    assert_int_equal(count, 2);
}

int main(void) {
    process_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_elements),
        cmocka_unit_test(survives_damage),
        cmocka_unit_test(decodes_entities),
        cmocka_unit_test(walks_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
