# SPDX-License-Identifier: GPL-2.0-only
"""What all groups of benchmarks share: the bars, the table, the verdict, JSON and the drawing.

A row compares one thing: what the kernel takes, what modbpf takes, and the value that stands against the bar: the second over the first,
or a number with a unit of its own where nothing is to be compared with. `must` fails the run, `goal` is only shown."""
import argparse
import json
import math
import os
import sys
from xml.sax.saxutils import escape

# area: must, goal, at most. Ratios to the kernel's, or in the unit of the area's name.
BARS = {
    "jit": (1.05, 0.75),
    "jit mean": (0.80, 0.75),
    "jit size": (1.00, 0.80),
    "jit ns/insn": (200, 80),
    "call": (1.00, 0.15),        # bpf-to-bpf and bpf_loop
    "verifier": (1.00, 1.00),
    "verifier mean": (0.50, 0.25),
    "insns": (1.10, 1.10),
    "insns mean": (0.80, 0.70),
    "state memory": (0.50, 0.50),
    "load": (1.00, 0.30),
    "look-up": (0.30, 0.15),
    "update": (1.00, 0.50),      # hash, LRU, LPM look-up
    "ringbuf": (1.00, 0.45),
    "helper": (1.00, 0.30),
    "other": (1.00, 1.00),       # what has no goal of its own
    "whole": (0.60, 0.40),
    "event": (1.00, 0.80),
    "insmod ms": (50, 20),
    "idle MiB": (2, 1),
    "entry": (1.00, 0.50),
}


class Row:
    """kernel, modbpf: numbers, a text that says why there is none, or None: not measured. value: instead of their ratio. floor: below that
    there is nothing to compare. extra: more columns for JSON."""

    def __init__(self, name, area, kernel, modbpf, value=None, floor=0, unit="", **extra):
        self.name, self.area, self.kernel, self.modbpf, self.unit, self.extra = name, area, kernel, modbpf, unit, extra
        self.must, self.goal = BARS[area]
        both = all(isinstance(v, (int, float)) for v in (kernel, modbpf))
        self.value = value if value is not None else (modbpf / kernel if kernel else 1.0 if not modbpf else math.inf) if both else None
        if self.value is not None:
            self.met = self.value <= self.must or both and modbpf <= floor
        else:  # what the kernel cannot do either is not missed
            self.met = isinstance(modbpf, (int, float)) or not isinstance(kernel, (int, float))
        self.at_goal = self.met and self.value is not None and (self.value <= self.goal or both and modbpf <= floor)

    def verdict(self):
        return "MISSED" if not self.met else "" if self.at_goal or self.value is None else "above the goal"

    def why(self):
        return "".join(f"  ({side}: {v})" for side, v in (("kernel", self.kernel), ("modbpf", self.modbpf)) if isinstance(v, str))

    def json(self):
        return {"name": self.name, "area": self.area, "kernel": self.kernel, "modbpf": self.modbpf, "unit": self.unit,
                "value": None if self.value is None or math.isinf(self.value) else self.value, "must": self.must, "goal": self.goal,
                "met": self.met, **self.extra}


def arguments(doc):
    """A parser of a group's options, with what all have."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="JSON into FILE and a drawing beside it; without FILE, to the output")
    return parser


def geomean(values):
    values = [max(v, 1e-9) for v in values if v is not None]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")


def number(v, width=11):
    if not isinstance(v, (int, float)):
        return f"{'-':>{width}}"
    return f"{v:{width}.{0 if v >= 1000 else 1 if v >= 100 else 2}f}"


def table(rows):
    wide = max([len(r.name) for r in rows] + [4])
    yield f"{'':{wide}} {'kernel':>11} {'modbpf':>11} {'ratio':>8} {'must':>6} {'goal':>6}"
    for r in rows:
        value = "-" if r.value is None else f"{r.value:.3g}" if r.value >= 10 else f"{r.value:.3f}"
        yield f"{r.name:{wide}} {number(r.kernel)} {number(r.modbpf)} {value:>8} {r.must:6g} {r.goal:6g} {r.unit} {r.verdict()}".rstrip() + r.why()


def summary(group, rows):
    missed, known = [r for r in rows if not r.met], [r for r in rows if r.value is not None]
    at_goal = sum(r.at_goal for r in known)
    text = f"{group}: {'MISSED' if missed else 'met'}: {len(rows) - len(missed)} of {len(rows)} within the bar, {at_goal} at the goal"
    names = [r.name for r in missed[:5]] + ([f"{len(missed) - 5} more"] if len(missed) > 5 else [])
    return text + (f"; missed: {', '.join(names)}" if missed else "")


STYLE = """svg { background: #fbfaf7; max-width: 100%; height: auto;
  --ink: #222; --dim: #666; --met: #2a7a4b; --near: #b8860b; --missed: #c0392b; --line: #999; }
@media (prefers-color-scheme: dark) { svg { background: #17191c;
  --ink: #e6e6e6; --dim: #a0a0a0; --met: #4fb37a; --near: #d9a93a; --missed: #ef6a5b; --line: #777; } }
text { fill: var(--ink); } .dim { fill: var(--dim); } .goal { fill: var(--met); }
.met { fill: var(--near); } .missed { fill: var(--missed); }
.one { stroke: var(--line); stroke-dasharray: 3 3; } .must { stroke: var(--ink); stroke-width: 2; }
.aim { stroke: var(--dim); stroke-width: 2; stroke-dasharray: 2 2; }"""


def drawing(title, rows, note=""):
    """The rows as bars, each as long as its value beside 1.0, or beside its bar where it has a unit; clipped at the right edge."""
    left, wide, high, top = 230, 460, 18, 64
    rows = [r for r in rows if r.value is not None]
    scaled = [(r.value / r.must, 1.0, r.goal / r.must) if r.unit else (r.value, r.must, r.goal) for r in rows]
    span = min(2.0, max([1.2] + [v * 1.05 for v, _, _ in scaled]))

    def x(v):
        return round(left + wide * min(v, span) / span, 1)
    bottom = top + high * len(rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {bottom + 34}" width="800" height="{bottom + 34}" '
           'font-family="ui-monospace, monospace" font-size="12">',
           f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>",
           f'<text x="10" y="22" font-size="16" font-weight="bold">{escape(title)}</text>',
           f'<text class="dim" x="10" y="42">shorter is better; solid mark: must, dashed mark: goal{"; " if note else ""}{escape(note)}</text>']
    out.append(f'<line class="one" x1="{x(1)}" y1="{top - 8}" x2="{x(1)}" y2="{bottom + 4}"/>')
    for i, (r, (value, must, goal)) in enumerate(zip(rows, scaled)):
        y = top + high * i
        kind = "goal" if r.at_goal else "met" if r.met else "missed"
        tiny = r.met and r.value > r.must  # below the floor
        value = 0 if tiny else value
        shown = "tiny" if tiny else f"{r.value:.2f}" if r.value < 100 else f"{r.value:.0f}"
        out.append(f'<g><title>{escape(r.name)}: {shown} {escape(r.unit)} (must {r.must:g}, goal {r.goal:g})</title>'
                   f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{escape(r.name[:30])}</text>'
                   f'<rect class="{kind}" x="{left}" y="{y + 2}" width="{round(x(value) - left, 1)}" height="{high - 5}"/>'
                   f'<line class="must" x1="{x(must)}" y1="{y + 1}" x2="{x(must)}" y2="{y + high - 2}"/>'
                   f'<line class="aim" x1="{x(goal)}" y1="{y + 1}" x2="{x(goal)}" y2="{y + high - 2}"/>'
                   f'<text class="{kind}" x="{left + wide + 10}" y="{y + 12}">{shown} {escape(r.unit)}</text></g>')
    out.append(f'<text class="dim" x="{x(1)}" y="{bottom + 20}" text-anchor="middle">1.0: the kernel; with a unit: the bar</text></svg>')
    return "\n".join(out) + "\n"


def report(group, title, rows, path=None, note="", stream=sys.stdout):
    """Prints the table and the verdict; writes `path` (JSON; "-": to the output, instead of the table) and the drawing beside it (.svg).
    -> the exit status: 1 when a bar is missed."""
    if not rows:
        print(f"{group}: MISSED: there are no rows", file=stream)
        return 1
    missed = not all(r.met for r in rows)
    data = json.dumps({"group": group, "title": title, "note": note, "met": not missed, "rows": [r.json() for r in rows]}, indent=1)
    if path == "-":
        print(data, file=stream)
        return int(missed)
    print(title + (f" ({note})" if note else ""), *table(rows), summary(group, rows), sep="\n", file=stream)
    if path:
        with open(path, "w", encoding="utf-8") as f:
            f.write(data + "\n")
        with open(os.path.splitext(path)[0] + ".svg", "w", encoding="utf-8") as f:
            f.write(drawing(title, rows, note))
    return int(missed)
