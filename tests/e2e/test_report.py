"""The simulator's report in a real browser: its charts can be read, on a desk and on a phone, and it needs nothing else."""
import json
import shutil
import subprocess

import pytest

from ..support.paths import BUILD, ROOT
from .browser import TELL, show

SCENARIOS = ROOT / "bench/scenarios"
needs_browser = pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")

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
        width: page.documentElement.scrollWidth, scripts: [...page.scripts].map(script => script.src),
        title: page.title, head: page.querySelector("h1 + p").textContent,
        headings: [...page.querySelectorAll("h1, h2")].map(heading => heading.textContent),
        totals: [...page.querySelectorAll(".totals b")].map(total => total.textContent),
        table: [...page.querySelectorAll("table tr")].map(row => [...row.cells].map(cell => cell.textContent)),
        firstTick: page.querySelector("svg text[text-anchor=middle]").textContent,
        loaded: frame.contentWindow.performance.getEntriesByType("resource").map(entry => entry.name)});
};</script>"""



def report(folder, scenario, *options, width=1200):
    """Makes the report of a scenario; answers what a browser shows of it, and what the simulator says in JSON."""
    made = subprocess.run([BUILD / "mela", "simulate", scenario, *options, "--html", "report.html", "--json"], cwd=folder,
                          check=True, stdout=subprocess.PIPE)
    (folder / "page.html").write_text(PAGE % (width, TELL))
    seen, asked = show(folder, "page.html")
    assert seen["errors"] == [] and seen["scripts"] == [""]  # one, and it is in the page
    assert seen["loaded"] == [] and set(asked) <= {"/page.html", "/report.html", "/favicon.ico"}
    return seen, json.loads(made.stdout)


@needs_browser
@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("options, policies", [([], 1), (["--compare"], 5)])
@pytest.mark.parametrize("name, pools", [("festival-month", 1), ("festival-day", 2)])
def test_the_report_can_be_read(tmp_path, width, options, policies, name, pools):
    seen, _ = report(tmp_path, SCENARIOS / f"{name}.json", *options, width=width)
    charts = 2 * policies * pools  # a day and the whole time
    assert seen["charts"] == charts and seen["areas"] == 3 * charts  # workers, busy, waiting
    assert seen["bars"] == (1 if policies == 1 else 3 * policies)
    assert seen["overlaps"] == [] and seen["letters"] >= 9
    assert seen["width"] <= width


@needs_browser
@pytest.mark.parametrize("name, pools", [("festival-month", ["lipsync"]), ("festival-day", ["lipsync", "image"])])
def test_the_table_says_what_the_simulator_says(tmp_path, name, pools):
    seen, said = report(tmp_path, SCENARIOS / f"{name}.json", "--compare")
    rows = seen["table"][2:]
    assert seen["table"][0][2:2 + len(pools)] == [f"{pool} workers" for pool in pools]
    assert [row[0] for row in rows] == [policy["policy"] for policy in said["policies"]]
    for row, policy in zip(rows, said["policies"]):
        cost = policy["cost_usd"]["total"]
        paid = [f"{policy['worker_seconds'][pool]['paid'] / 3600:,.0f} h" for pool in pools]
        assert [row[1], *row[2:2 + 2 * len(pools):2]] == [f"${cost:,.2f}" if cost < 1000 else f"${cost:,.0f}", *paid]
        assert row[-2:] == [str(policy["missed_deadlines"]), str(policy["interruptions"])]
    assert seen["totals"][:1 + len(pools)] == [rows[0][1], *rows[0][2:2 + 2 * len(pools):2]]


@needs_browser
def test_the_report_keeps_the_scenarios_own_clock_and_its_text_as_text(tmp_path):
    """The first tick is a full third hour, though the scenario begins between two."""
    name = "</script><script>a & b \u2028"
    scenario = {"name": name, "start": "2026-11-08T10:30:00-04:30", "days": 2,
                "campaigns": [{"hour": 1, "segments": 2, "languages": 1}]}
    (tmp_path / "scenario.json").write_text(json.dumps(scenario))
    seen, _ = report(tmp_path, "scenario.json")
    assert seen["headings"][0] == name and seen["title"] == "mela simulate: " + name
    assert seen["head"].startswith("8 November 2026 to 10 November 2026, times in UTC\u221204:30; 1 campaigns, ")
    assert "Pool lipsync, the day with the most work: 8 November 2026" in seen["headings"]
    assert seen["firstTick"] == "12:00"
