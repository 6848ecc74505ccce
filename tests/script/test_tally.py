import json

import pytest


def meson(*tests):
    return "\n".join(json.dumps(test) for test in tests)


@pytest.mark.parametrize("version, summary", [("1.1.5", "[  FAILED  ] 1 test(s), listed below:"),
                                              ("1.1.7", "[  FAILED  ] tests: 1 test(s), listed below:")])
def test_meson_counts_what_cmocka_says(script, version, summary):
    output = ("[==========] Running 3 test(s).\n[ RUN      ] test_a\n[       OK ] test_a\n[  FAILED  ] test_b\n"
              f"[  SKIPPED ] test_c\n[==========] 3 test(s) run.\n[  PASSED  ] 1 test(s).\n{summary}\n[  FAILED  ] test_b\n")
    found = list(script("tally").read_meson(meson({"name": "queue", "result": "FAIL", "stdout": output})))
    assert found == [("passed", "queue: test_a", ""), ("failed", "queue: test_b", ""), ("skipped", "queue: test_c", "")]


def test_meson_program_that_crashed_fails(script):
    found = list(script("tally").read_meson(meson(
        {"name": "ring", "result": "FAIL", "stdout": "[       OK ] test_a\n", "stderr": "AddressSanitizer"},
        {"name": "file", "result": "TIMEOUT"}, {"name": "plain", "result": "OK"}, {"name": "gpu", "result": "SKIP"})))
    assert found == [("passed", "ring: test_a", ""), ("failed", "ring", "fail"), ("failed", "file", "timeout"),
                     ("passed", "plain", ""), ("skipped", "gpu", "the program says so")]


def test_junit(script):
    found = list(script("tally").read_junit(
        '<testsuites><testsuite><testcase classname="t" name="a"/><testcase classname="t" name="b"><failure/></testcase>'
        '<testcase classname="t" name="c"><skipped message="no card"/></testcase>'
        '<testcase classname="t" name="d"><error/></testcase></testsuite></testsuites>'))
    assert [outcome for outcome, *_ in found] == ["passed", "failed", "skipped", "failed"]
    assert found[2] == ("skipped", "t::c", "no card")


@pytest.mark.parametrize("lines, status, last", [
    ("passed\ta\npassed\tb\n", 0, "2 passed, 0 failed"),
    ("passed\ta\nskipped\tb\tno card\n", 0, "1 passed, 0 failed, 1 skipped"),
    ("passed\ta\nfailed\tb\n", 1, "1 passed, 1 failed"),
    ("", 1, "0 passed, 0 failed"),
])
def test_last_line_and_exit_code(script, tmp_path, capsys, lines, status, last):
    file = tmp_path / "lint.tsv"
    file.write_text(lines, encoding="utf-8")
    assert script("tally").main([str(file)]) == status
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == last
    if "skipped" in lines:
        assert "skipped: lint: b (no card)" in out
