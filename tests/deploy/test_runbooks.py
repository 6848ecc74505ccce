"""Every mela command that an operator is told to type exists, with the flags that it is given."""
import functools
import os
import pathlib
import re
import shlex
import subprocess

import pytest

from promql import ROOT

BUILD = ROOT / os.environ.get("MELA_BUILD", "build")
PAGES = [ROOT / "docs/operations.md", *sorted((ROOT / "docs/runbooks").glob("*.md"))]


@functools.cache
def help_of(program, *command):
    return subprocess.run([BUILD / program, *command, "--help"], capture_output=True, text=True, check=True).stdout


@functools.cache
def names(program):
    """Of its commands; some are two words."""
    return re.findall(r"^  (\w+(?: \w+)?)  ", help_of(program).split("Commands:")[1], re.MULTILINE)


def commands(text):
    """Of code spans and indented blocks."""
    blocks = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    for code in re.findall(r"`([^`]+)`", text) + [line for block in blocks for line in block.splitlines()]:
        code = re.sub(r"\s+#.*|\s*[|&;].*", "", " ".join(code.split()))
        if match := re.match(r"(?:kubectl .* -- )?(mela|mela-worker) ([a-z-].*)", code):
            yield match[1], shlex.split(match[2])


def fault(program, words):
    """What is wrong with a command, or None."""
    found = [name for name in names(program) if words[:len(name.split())] == name.split()]
    if program == "mela" and words[0] == "models":
        return fault("mela-worker", words)
    if not found:
        return f"{program} has no command {words[0]}"
    name = max(found, key=len).split()
    usage, rest = help_of(program, *name), words[len(name):]
    choices = re.search(r"\[OPTION\.\.\.\] ([a-z]+(?:\|[a-z]+)+)", usage)
    if choices and rest and rest[0] not in choices[1].split("|"):
        return f"{' '.join(words)}: not one of {choices[1]}"
    for word in rest:
        flag = word.split("=")[0]
        if flag.startswith("-") and not re.search(rf"(^|\s){re.escape(flag)}(=|,|\s)", usage):
            return f"{program} {' '.join(name)} has no {flag}"
    return None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_commands_exist(path):
    found = list(commands(path.read_text(encoding="utf-8")))
    assert not [problem for command in found if (problem := fault(*command))]


def test_the_test_sees_commands_and_their_faults():
    assert list(commands("x `mela queue\ncheck --repair` and `kubectl -n mela exec deploy/a -- mela recover --dry-run | cat`\n\n    mela list &  # all\n")) \
        == [("mela", ["queue", "check", "--repair"]), ("mela", ["recover", "--dry-run"]), ("mela", ["list"])]
    assert not list(commands("`kubectl -n mela get pods` `mela: farm` `mela/pool` `helm -n mela history mela`"))
    assert fault("mela", ["queue", "check", "--repair"]) is None
    assert fault("mela", ["models", "list"]) is None
    assert fault("mela", ["queue", "mend"]) and fault("mela", ["requeue"]) and fault("mela", ["dead", "--all"])


def test_operations_has_its_chapters():
    text = PAGES[0].read_text(encoding="utf-8")
    chapters = set(re.findall(r"^## (.+)$", text, re.MULTILINE))
    assert {"Upgrade", "Rollback", "Draining", "Redis failover", "Recovery", "Adding a model", "Adding a pool", "Spot storms",
            "Quiet hours", "Capacity", "On call: the first five minutes"} <= chapters


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    for target, _, anchor in (match.partition("#") for match in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8"))):
        page = (path.parent / target).resolve() if target else path
        titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
        assert not anchor or anchor in anchors, f"{target}#{anchor}"
