import pytest


@pytest.fixture
def findings(script, tmp_path):
    """What lint-floors says about a tree, as `file:line: what`. Rooms get their header unless the tree has it."""
    floors = script("lint-floors")

    def check(tree):
        for name, text in tree.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            header = path.parent / f"{path.parent.name}.h"
            if path.parent != tmp_path and not header.exists():
                header.write_text("", encoding="utf-8")
        return [f"{file}:{line}: {what}" for file, line, what in floors.check_tree(tmp_path)]
    return check


def test_downwards_and_inside_a_room_is_allowed(findings):
    assert findings({
        "base/error.h": "",
        "queue/redis.c": '#include "internal.h"\n',
        "queue/queue.c": '#include <hiredis/hiredis.h>\n#include "base/error.h"\n#include "queue/queue.h"\n',
        "mela.c": '#include "cli/cli.h"\n',
        "cli/cli.h": '#include "server/server.h"\n',
        "server/server.h": '#include "queue/queue.h"\n',
        "queue/queue.h": '#include "base/error.h"\n',
    }) == []


@pytest.mark.parametrize("file, include, word", [
    ("base/a.c", "farm/farm.h", "only downwards"),
    ("queue/a.c", "server/server.h", "only downwards"),
    ("media/a.c", "store/store.h", "only downwards"),  # the same floor
    ("worker/a.c", "server/server.h", "only downwards"),
    ("server/a.c", "media/media.h", "server may not include"),
    ("server/a.c", "model/model.h", "server may not include"),
    ("server/a.c", "dub/dub.h", "server may not include"),
    ("dub/a.c", "queue/queue.h", "dub may not include"),
    ("dub/a.c", "store/store.h", "dub may not include"),
    ("work/a.c", "store/input.h", "work may not include"),
    ("executor/a.c", "store/cache.h", "executor may not include"),
    ("model/a.c", "farm/farm.h", "model may not include"),
    ("model/a.c", "store/store.h", "model may not include"),
    ("base/a.c", "util/buffer.h", "is in no room"),
])
def test_forbidden_include(findings, file, include, word):
    found = findings({file: f'\n#include "{include}"\n'})
    assert len(found) == 1
    assert found[0].startswith(f"{file}:2: ") and word in found[0]


@pytest.mark.parametrize("file, include", [
    ("dub/a.c", "hiredis/hiredis.h"), ("server/a.c", "libavcodec/avcodec.h"), ("dub/a.c", "onnxruntime_c_api.h"),
    ("cli/a.c", "microhttpd.h"), ("model/a.c", "libswscale/swscale.h"),
])
def test_library_outside_its_room(findings, file, include):
    found = findings({file: f"#include <{include}>\n"})
    assert len(found) == 1 and f"may include <{include}>" in found[0]


def test_circle(findings):
    found = findings({"base/a.h": '#include "base/b.h"\n', "base/b.h": '#include "c.h"\n',
                      "base/c.h": '#include "base/a.h"\n'})
    assert found == ["base/a.h:1: circle of includes: base/a.h -> base/b.h -> base/c.h -> base/a.h"]


def test_banned_only_in_code(findings):
    found = findings({"base/a.c": '/* strcpy(a, b) and\n goto */\n// atoi\nputs("sprintf \\" gets");\nstrcpy(a, b);\n'
                                  "my_strcpy(a);\ngoto out;\n"})
    assert found == ["base/a.c:5: strcpy is banned", "base/a.c:7: goto is banned"]


def test_farm_words(findings):
    found = findings({"media/a.c": "/* the campaign's job */\nrelease(frame);\nint job_id;\nstruct campaign *c;\n",
                      "worker/a.c": "int job_id;\n"})
    assert found == ["media/a.c:3: media knows nothing of farms, yet says job_id",
                     "media/a.c:4: media knows nothing of farms, yet says campaign"]


def test_room_without_header(script, tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base/error.c").touch()
    found = script("lint-floors").check_tree(tmp_path)
    assert [(file, what[:10]) for file, _, what in found] == [("base/base.h", "is missing")]


def test_unknown_room(findings):
    assert findings({"util/a.h": ""})[0].endswith("util is no room of the house")
