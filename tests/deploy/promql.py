"""What the tests of rules and dashboards need of PromQL: promtool, and the metrics that an expression asks for."""
import os
import pathlib
import re
import shutil

import pytest

from ..support.paths import ROOT

WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool"}
TOOL = shutil.which("promtool", path=f"{ROOT / '.deps/promtool'}:{os.environ['PATH']}")

needs_promtool = pytest.mark.skipif(TOOL is None, reason="promtool is not there: script/setup --test")


def metrics(expression):
    """The metrics that an expression reads."""
    text = re.sub(r'"(\\.|[^"\\])*"', "", expression)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", text)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    names = re.finditer(r"(?<![\w.$])([A-Za-z_:][\w:]*)(?!\w)(\s*\()?", text)
    return {match[1] for match in names if not match[2] and match[1].lower() not in WORDS}


def known_metrics():
    """Those of docs/metrics.md and of other exporters; of a histogram also the three it is made of."""
    farm = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`(mela_\w+)`", farm))
    for name in re.findall(r"`(mela_\w+)` \| histogram", farm):
        names |= {name + end for end in ("_bucket", "_sum", "_count")}
    lines = (pathlib.Path(__file__).parent / "exporters.txt").read_text(encoding="utf-8").splitlines()
    return names | {line for line in lines if line and not line.startswith("#")}


def unknown_metrics(expressions, recorded=()):
    return {name for text in expressions for name in metrics(text)} - known_metrics() - set(recorded)
