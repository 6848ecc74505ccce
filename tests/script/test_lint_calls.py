import pytest


@pytest.fixture
def findings(script, tmp_path):
    """What lint-calls says about a tree, as `file:line: what`."""
    calls = script("lint-calls")

    def check(tree, others=None):
        for name, text in tree.items():
            path = tmp_path / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elsewhere = []
        for name, text in (others or {}).items():
            elsewhere.append(tmp_path / name)
            elsewhere[-1].write_text(text, encoding="utf-8")
        return [f"{file}:{line}: {what}" for file, line, what in calls.check_tree(tmp_path / "src", elsewhere)]
    return check


def test_calls_downwards_are_allowed(findings):
    assert findings({
        "base/error.h": "/* Sets it. */\nint error_set(void);\n",
        "base/error.c": '#include "base/error.h"\nint error_set(void) { return 1; }\n',
        "queue/queue.c": '#include "base/error.h"\nstatic int claim(void) { return error_set(); }\n',
    }) == []


def test_one_name_for_two_functions_is_found_static_or_not(findings):
    found = findings({"base/a.c": "static int run(void) { return 1; }\n", "queue/b.c": "\nstatic int run(void) { return 2; }\n"})
    assert [line.split(":")[0] for line in found] == ["base/a.c", "queue/b.c"]
    assert "run is a function of queue/b.c:2 too" in found[0]


def test_a_call_upwards_is_found_without_an_include(findings):
    found = findings({"base/a.c": "int worker_run(void);\nstatic int climb(void) { return worker_run(); }\n",
                      "worker/worker.c": "int worker_run(void) { return 1; }\n"})
    assert len(found) == 1 and found[0].startswith("base/a.c:1: calls worker_run, but base (floor 0)")


def test_a_circle_of_calls_inside_a_room_is_found_whole(findings):
    found = findings({"store/a.c": "int a_go(void) { return b_go(); }\n", "store/b.c": "int b_go(void) { return c_go(); }\n",
                      "store/c.c": "int c_go(void) { return a_go(); }\n"})
    assert len(found) == 1
    assert "store/a (b_go) -> store/b (c_go) -> store/c (a_go) -> store/a" in found[0]


def test_a_name_in_a_comment_or_a_string_is_no_call(findings):
    assert findings({"base/a.c": '/* worker_run */\nstatic const char *text = "worker_run()";\n',
                     "worker/worker.c": "int worker_run(void) { return 1; }\n"}) == []


@pytest.mark.parametrize("header, what", [
    ("int a_go(int x);\n", "a_go has no comment"),
    ("/* Goes. */\nint a_go(int x);\n", None),
    ("/* Go. */\nint a_stop(int x);\nint a_go(int x);\n", None),  # one comment for a run of them
    ("/* Of something else. */\n\nint a_go(int x);\n", "a_go has no comment"),
])
def test_a_public_function_is_explained(findings, header, what):
    found = findings({"base/a.h": header, "base/a.c": "int a_go(int x) { return x; }\n",
                      "farm/b.c": "static int b_go(void) { return a_go(1); }\n"})
    assert [what in line for line in found] == ([True] if what else [])


def test_a_public_function_without_a_user_is_found(findings):
    tree = {"base/a.h": "/* Goes. */\nint a_go(int x);\n", "base/a.c": "int a_go(int x) { return x; }\n"}
    assert "a_go is used by nobody outside of its unit" in findings(tree)[0]
    assert findings(tree, {"test.c": "int main(void) { return a_go(1); }\n"}) == []
