#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What the groups of benchmarks share: the verdict and its exit status at and above a bar, JSON, and a drawing that is XML of its own.
cd "$(dirname "$0")/../.." || exit 1
dir=$PWD/build/test/bench
rm -rf "$dir" && mkdir -p "$dir" || exit 1
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=selftests/bench DIR=$dir python3 - <<'PY'
import contextlib, io, json, math, os, re, sys
import xml.etree.ElementTree as xml
from report import BARS, Row, geomean, report

fails = 0
def check(name, good, seen=""):
    global fails
    print(f"{'ok' if good else 'FAILED'}: {name}" + ("" if good else f": {seen}"))
    fails += not good
def run(*rows, path=None):
    out = io.StringIO()
    return report("group", "rows <of> a & b", list(rows), path, note="x < y", stream=out), out.getvalue()

must, goal = BARS["look-up"]
code, out = run(Row("at the bar", "look-up", 100, 100 * must))
check("a row at its bar is met", code == 0 and "group: met: 1 of 1 within the bar, 0 at the goal" in out, out)
code, out = run(Row("fine", "look-up", 100, 100 * goal), Row("slow one", "look-up", 100, 100 * must + 1))
check("a row above its bar is MISSED, and the run fails", code == 1 and re.search(r"slow one .* MISSED\n", out) is not None
      and "group: MISSED: 1 of 2 within the bar, 1 at the goal; missed: slow one" in out, out)
check("a number with a unit is held against its own bar", run(Row("insmod", "insmod ms", None, 51, value=51, unit="ms"))[0] == 1
      and run(Row("insmod", "insmod ms", None, 50, value=50, unit="ms"))[0] == 0)
check("what modbpf alone cannot do is missed", run(Row("a", "event", 5.0, "no such kind"))[0] == 1)
check("what neither can do is not", run(Row("a", "event", "no such kind", "no such kind"))[0] == 0)
check("nothing measured is a failure", run()[0] == 1)
check("below the floor there is nothing to compare", run(Row("a", "look-up", 0.1, 0.3, floor=0.35))[0] == 0
      and run(Row("a", "look-up", 0.1, 0.4, floor=0.35))[0] == 1)
check("a kernel that takes nothing", run(Row("a", "look-up", 0, 3))[0] == 1)
check("the geometric mean", abs(geomean([0.5, 2.0]) - 1) < 1e-9 and math.isnan(geomean([])))
check("no goal is above its bar", all(g <= m for m, g in BARS.values()))

path = os.environ["DIR"] + "/group.json"
code, _ = run(Row("a <b> & \"c\"", "look-up", 100, 10), Row("far above", "look-up", 1, 50), Row("none", "event", 1.0, "why"),
              Row("idle", "idle MiB", None, 1.5, value=1.5, unit="MiB"), Row("never", "look-up", 0, 3),
              Row("tiny", "look-up", 0, 0.1, floor=0.35), path=path)
data = json.load(open(path))
check("JSON has the rows", [r["met"] for r in data["rows"]] == [True, False, False, True, False, True] and data["met"] is False
      and data["rows"][4]["value"] is None, data)
text = open(os.environ["DIR"] + "/group.svg").read()
try:
    root = xml.fromstring(text)
    svg = "{http://www.w3.org/2000/svg}"
    bars = [e for e in root.iter(svg + "rect")]
    names = [e.text for e in root.iter(svg + "text")]
    ends = [float(b.get("x")) + float(b.get("width")) for b in bars]
    check("the drawing is XML, with a bar a row that has a value", len(bars) == 5 and "a <b> & \"c\"" in names, names)
    check("colours follow the verdict", [b.get("class") for b in bars] == ["goal", "missed", "met", "missed", "goal"], text)
    check("no bar leaves the drawing", max(ends) <= 800 and min(float(b.get("width")) for b in bars) >= 0, ends)
    check("what is below the floor has no length", float(bars[4].get("width")) == 0, text)
    check("a line at 1.0", sum(e.get("class") == "one" for e in root.iter(svg + "line")) == 1)
except xml.ParseError as e:
    check("the drawing is XML", False, e)
alone = text.replace("http://www.w3.org/2000/svg", "")
check("the drawing stands alone, light and dark",
      not re.search(r"(src|href)=|https?:|@import|url\(", alone) and "prefers-color-scheme: dark" in alone)
sys.exit(fails != 0)
PY
