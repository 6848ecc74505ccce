"""The simulator's report in a real browser: its charts can be read, on a desk and on a phone, and it needs nothing else."""
import shutil
import subprocess

import pytest

from ..support.paths import BUILD, ROOT
from .browser import TELL, show

# The report lies in a frame of the width in question; what is measured is what the browser laid out.
PAGE = """<iframe src="report.html" style="width:%dpx;height:3000px"></iframe><script>%s
const frame = document.querySelector("iframe"), errors = [];
frame.contentWindow.onerror = message => errors.push(String(message));
frame.onload = () => {
  const page = frame.contentDocument, box = element => element.getBoundingClientRect();
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const overlaps = [];
  for (const chart of page.querySelectorAll("svg")) {
    const texts = [...chart.querySelectorAll("text")];
    texts.forEach((one, i) => texts.slice(i + 1).forEach(
      other => meet(box(one), box(other)) && overlaps.push(one.textContent + " / " + other.textContent)));
    texts.forEach(text => (box(text).left < box(chart).left || box(text).right > box(chart).right) && overlaps.push(text.textContent));
  }
  tell({errors, overlaps, charts: page.querySelectorAll("svg").length,
        areas: [...page.querySelectorAll("svg path")].filter(path => box(path).height > 1).length,
        bars: [...page.querySelectorAll(".bar")].filter(bar => box(bar.firstElementChild).width > 0).length,
        letters: Math.min(...[...page.querySelectorAll("svg text")].map(text => box(text).height)),
        width: page.documentElement.scrollWidth, scripts: page.scripts.length,
        loaded: frame.contentWindow.performance.getEntriesByType("resource").map(entry => entry.name)});
};</script>"""


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("options, policies", [([], 1), (["--compare"], 5)])
def test_the_report_can_be_read(tmp_path, width, options, policies):
    subprocess.run([BUILD / "mela", "simulate", ROOT / "bench/scenarios/festival-month.json", *options, "--html", "report.html"],
                   cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    (tmp_path / "page.html").write_text(PAGE % (width, TELL))
    seen, asked = show(tmp_path, "page.html")
    assert seen["errors"] == [] and seen["scripts"] == 0
    assert seen["loaded"] == [] and set(asked) <= {"/page.html", "/report.html", "/favicon.ico"}
    assert seen["charts"] == 2 * policies and seen["areas"] == 6 * policies  # workers, busy, waiting; a day and the month
    assert seen["bars"] == (1 if policies == 1 else 3 * policies)
    assert seen["overlaps"] == [] and seen["letters"] >= 9
    assert seen["width"] <= width
