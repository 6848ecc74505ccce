import shutil

import pytest


@pytest.mark.skipif(not shutil.which("ctags"), reason="needs Universal Ctags (script/setup --lint)")
def test_functions_are_found_with_their_lines(script, tmp_path):
    file = tmp_path / "a.c"
    file.write_text("static int one(void) { return 1; }\n\nint\ntwo(int a)\n{\n    return a;\n}\n", encoding="utf-8")
    found = script("lint-sizes").functions([file])
    assert sorted((name, lines) for lines, _, _, name in found) == [("one", 1), ("two", 4)]


def test_limits(script):
    sizes = script("lint-sizes")
    small = [(10, "a.c", 1, f"f{i}") for i in range(98)]
    assert sizes.findings(small + [(60, "a.c", 9, "edge")], {"a.c": 1000}) == []
    assert [line.split(":")[2] for line in sizes.findings(small + [(61, "a.c", 9, "big")], {})] == [" big has 61 lines, more than 60"]
    assert "a.c:1: 1001 lines, more than 1000" in sizes.findings(small, {"a.c": 1001})[0]
    many = sizes.findings(small[:10] + [(26, "a.c", 9, "long")] * 2, {})
    assert many == ["more than 5 % of the functions have over 25 lines: long (a.c, 26), long (a.c, 26)"]
    assert sizes.findings([(11, "a.c", 1, "f")], {}) == ["more than half of the functions have over 10 lines"]
    assert sizes.findings([], {}) == []
