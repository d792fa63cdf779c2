# SPDX-License-Identifier: GPL-2.0-only
"""What is known beforehand: what the stock 6.12 kernel says of each case (stock/: names and outcomes, as measured with its
own BPF), and the cases in which this implementation is known to differ (expected.txt, with reasons)."""
import os

here = os.path.dirname(os.path.abspath(__file__))


def lines(name):
    with open(os.path.join(here, name), encoding="utf-8") as f:
        return [l.rstrip("\n") for l in f if l.strip() and not l.startswith("# ")]


def suites():
    return [l[1:-1] for l in lines("expected.txt") if l.startswith("[") and l.endswith("]")]


def expected(suite):
    """{name: reason} of one suite: the lines under "[suite]", each below the "reason:" that it has."""
    found, section, reason = {}, "", ""
    for line in lines("expected.txt"):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line.startswith("reason: "):
            reason = line[8:]
        elif section == suite:
            found[line.strip()] = reason
    return found


def write_expected(sections):
    path = os.path.join(here, "expected.txt")
    with open(path, encoding="utf-8") as f:
        head = [l for l in f if l.startswith("# ")]
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(head)
        for suite, names in sections.items():
            if not names:
                continue
            f.write(f"\n[{suite}]\n")
            for reason in sorted(set(names.values())):
                f.write(f"reason: {reason}\n")
                f.writelines(f"    {n}\n" for n in names if names[n] == reason)


def outcomes(name):
    """Lines "STATUS name"; "/name" belongs to the last test without a slash in front. Of equal names, the later are numbered."""
    found, test = {}, ""
    for line in lines(name):
        status, case = line.split(" ", 1)
        if case.startswith("/"):
            case = test + case
        else:
            test = case
        found[unique(case, found)] = status
    return found


def unique(name, seen):
    return name if name not in seen else next(f"{name}~{i}" for i in range(2, 1000) if f"{name}~{i}" not in seen)


def verifier(series):
    return outcomes(f"stock/test_verifier-{series}.txt")


def progs():
    return outcomes("stock/test_progs-6.12.txt")


def veristat():
    """{(file, program): (verdict, instructions processed)}"""
    found, file = {}, ""
    for line in lines("stock/veristat-6.12.txt"):
        if not line.startswith(" "):
            file = line
            continue
        prog, insns = line.split()
        found[file, prog] = ("failure", 0) if insns == "-" else ("success", int(insns))
    return found
