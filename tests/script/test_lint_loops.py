import pytest


@pytest.fixture
def findings(script, tmp_path):
    """What lint-loops says about a tree, as `file:line: what`."""
    def check(tree):
        for name, text in tree.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return [f"{file}:{line}: {what}" for file, line, what in script("lint-loops").check_tree(tmp_path)]
    return check


READER = "static bool next_packet(void) {\n    return av_read_frame(format, packet) >= 0;\n}\n"


@pytest.mark.parametrize("loop", ["while (av_read_frame(format, packet) >= 0)\n        count++;",
                                  "for (;;) {\n        if (!next_packet())\n            return;\n    }",
                                  "do {\n        next_packet();\n    } while (more);",
                                  "for (struct item *i; (i = ring_pop(ring));)\n        use(i);"])
def test_a_loop_that_reads_and_never_looks_is_found(findings, loop):
    found = findings({"media/a.c": f"{READER}static void go(void) {{\n    {loop}\n}}\n"})
    assert len(found) == 1 and found[0].startswith("media/a.c:5: go reads input in a loop")


@pytest.mark.parametrize("loop", ["while (media_go_on(cancel, err) && next_packet())\n        count++;",
                                  "for (;;) {\n        next_packet();\n        if (!may_go_on())\n            return;\n    }",
                                  "for (int i = 0; i < 3; i++)\n        count++;\n    next_packet();"])
def test_a_loop_that_looks_or_reads_nothing_is_fine(findings, loop):
    looker = "static bool may_go_on(void) {\n    return !flow_stopped(flow);\n}\n"
    assert findings({"dub/a.c": f"{READER}{looker}static void go(void) {{\n    {loop}\n}}\n"}) == []


@pytest.mark.parametrize("file, count", [("dub/b.c", 1), ("store/b.c", 0)])
def test_a_reader_of_another_room_counts_and_a_comment_does_not(findings, file, count):
    loop = "static void go(void) {\n    while (more) { /* media_go_on() */\n        next_packet();\n    }\n}\n"
    assert len(findings({"media/a.c": READER, file: loop})) == count
