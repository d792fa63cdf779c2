# SPDX-License-Identifier: GPL-2.0-only
"""Upstream's programs, run, and what they print as outcomes by name: {name: Outcome}. A crash or a hang loses one case and
not the suite: the rest runs in another process."""
import collections
import csv
import functools
import io
import os
import re
import signal
import subprocess

from known import unique

NOT_RUN = "did not run"
KERNEL_LOG = "the kernel log"
PROGS_SECONDS, MAPS_SECONDS = 120, 900  # for one test on the device, under emulation
Outcome = collections.namedtuple("Outcome", "status detail")  # OK, FAIL, SKIP; what was expected and what came
STATISTICS = re.compile(r"^(verification time|stack depth|processed \d+ insns|max_states_per_insn|mark_precise:)")


def run(command, timeout, cwd):
    """The text of both streams and why it ended: an exit status, "killed by signal N" or "more than N s"."""
    with subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True) as p:
        try:
            out, _ = p.communicate(timeout=timeout)
            end = p.returncode if p.returncode >= 0 else f"killed by signal {-p.returncode}"
        except subprocess.TimeoutExpired:
            out = stop(p)
            end = f"more than {timeout} s"
    return out.decode("utf-8", "replace"), end


def stop(p):
    """test_progs tells of its subtests at the end of a test, or when it faults."""
    for sig in (signal.SIGSEGV, signal.SIGKILL):
        os.killpg(p.pid, sig)
        try:
            return p.communicate(timeout=20)[0]
        except subprocess.TimeoutExpired:
            pass
    return b""


def last_message(log):
    lines = [l.strip() for l in log if l.strip() and not STATISTICS.match(l.strip())]
    return lines[-1] if lines else ""


# ---- test_verifier: "#N/p name STATUS", or the status at the end of what the case printed ----

CASE = re.compile(r"^#(\d+)/([pu]) (.*)$")
# How a case ends, on its own line or after what running it printed.
CASE_END = re.compile(r"^(.*?) *(?:Did not run the program \(.*\))? *((?:\d+ cases )?OK(?: \(NOTE.*)?|SKIP.*|FAIL.*|\(run .*|)$")


def parse_verifier(text):
    """[(number, name, Outcome or None when the case did not end)]"""
    cases = []
    for line in text.splitlines():
        head = CASE.match(line)
        if head:
            cases.append([int(head[1]), head[2], head[3], []])
        elif cases and not line.startswith("Summary:"):
            cases[-1][3].append(line)
    return [(n, *judge_case(title, who, log)) for n, who, title, log in cases]


def judge_case(title, who, log):
    title, _, btf_problem = title.partition("Failed to load BTF spec: ")
    if btf_problem and log[-1:] == ["OK"]:  # a program of someone who may not load types is refused as it should be
        return f"{title.strip()}/{who}", Outcome("OK", "")
    if btf_problem:
        return f"{title.strip()}/{who}", Outcome("FAIL", f"its BTF is refused: {btf_problem}")
    name, status = CASE_END.match(title).groups()
    name = f"{name}/{who}"
    if "OK" in status and not status.startswith(("FAIL", "SKIP", "(run")):
        return name, Outcome("OK", "")
    if status.startswith("SKIP"):
        return name, Outcome("SKIP", status[5:])
    if not status:
        return name, None
    expected = next((l.strip()[5:] for l in log if l.strip().startswith("EXP: ")), None)
    if expected is not None:
        log = [l.removeprefix("\tRES: ") for l in log if not l.strip().startswith(("EXP: ", "Unexpected"))]
        return name, Outcome("FAIL", f"expected: {expected} | got: {last_message(log)}")
    return name, Outcome("FAIL", " | ".join(filter(None, [status.removeprefix("FAIL").strip(), (log or [""])[0], last_message(log[1:])])))


def verifier(box, first, last, whole):
    """Runs test_verifier's cases first..last, or all when they are the `whole`; yields (name, Outcome)."""
    seen = set()
    while first <= last:
        text, end = run(box.command("./test_verifier", *([] if whole else [str(first), str(last)])), 600, box.bpf)
        cases = parse_verifier(text)
        for n, name, outcome in cases:
            name = unique(name, seen)
            seen.add(name)
            yield name, outcome or Outcome("FAIL", f"{end}: {last_message(text.splitlines()[-8:])}")
        if text.rstrip().splitlines()[-1:] and text.rstrip().splitlines()[-1].startswith("Summary:"):
            return
        if not cases:
            raise RuntimeError(f"test_verifier did not start ({end}):\n{text[-2000:]}")
        first, whole = cases[-1][0] + 1, False


# ---- test_progs: "#N/M test/subtest:STATUS" after what it printed ----

RESULT = re.compile(r"^#\d+(?:/\d+)? +(\S.*):(OK|FAIL|SKIP)(?: \(SKIP: .*\))?$")


def parse_progs(text):
    outcomes, log = {}, []
    for line in text.splitlines():
        if line.startswith("All error logs:"):
            break
        r = RESULT.match(line)
        if not r:
            log.append(line)
            continue
        detail = progs_detail(log) if r[2] != "OK" else ""
        outcomes[unique(r[1], outcomes)] = Outcome(r[2], detail)
        log = []
    return outcomes


def progs_detail(log):
    rules = [i for i, l in enumerate(log) if l.startswith("=====")]
    wanted = [re.sub(r"\s+", " ", l).strip() for l in log if re.match(r"^(UN)?EXPECTED", l)]
    failed = [l.strip() for l in log if ":FAIL:" in l]
    got = last_message(log[rules[-2] + 1:rules[-1]]) if len(rules) >= 2 else ""
    return " | ".join(filter(None, wanted[:2] + failed[:2] + ([f"got: {got}"] if got else [])))[:400]


def progs(box, test, subtests, timeout):
    """One test of test_progs. `subtests`: their names in order, to know which one a crash hit."""
    done, denied = {}, []
    while True:
        deny = [x for name in denied for x in ("-b", name.replace(",", "*"))]  # a comma would end the name
        text, end = run(box.command("./test_progs", "-a", test, *deny), timeout, box.bpf)
        for name, outcome in parse_progs(text).items():
            done.setdefault(name, outcome)
        if test in done:
            if denied:
                done[test] = Outcome("FAIL", "a subtest crashed")
            return done
        hit = next((s for s in subtests if s not in done), None)
        reason = f"{end}: {last_message(text.splitlines()[-4:])}"
        if not hit or len(denied) >= (3 if str(end).startswith("more than") else 40):
            done[test] = Outcome("FAIL", reason)
            return done
        done[hit] = Outcome("FAIL", reason)
        denied.append(hit)


# ---- veristat ----

VERISTAT_FIELDS = "file,prog,verdict,duration,insns,states,peak_states"
PROCESSING = re.compile(r"^PROCESSING (\S+)/(\S+), DURATION US: .*VERIFIER LOG:$", re.M)


def veristat(box, obj, timeout):
    """{program: (verdict, instructions processed, last message)} of one object file, and how the run ended."""
    text, end = run(box.command("./veristat", "-v", "-l", "1", "--log-size", str(1 << 28), "-o", "csv", "-e", VERISTAT_FIELDS, obj), timeout, box.bpf)
    logs, _, table = text.partition("\nfile_name,")
    messages, at, library = {}, 0, ""
    heads = list(PROCESSING.finditer(logs))
    for head, after in zip(heads, heads[1:] + [None]):
        before = logs[at:head.start()]
        log = logs[head.end():after.start() if after else len(logs)].splitlines()
        # libbpf's lines about the next program follow this one's log.
        log = [l for l in log if not l.startswith("libbpf: ")]
        library = [l for l in before.splitlines() if l.startswith("libbpf: ") and "failed to load object" not in l]
        verified = any(l.startswith("processed ") for l in log)
        messages[head[2]] = last_message(log) if verified else (library or ["no log"])[-1]
        at = head.end()
    rows = csv.DictReader(io.StringIO("file_name," + table)) if table else []
    done = {r["prog_name"]: (r["verdict"], int(r["total_insns"]), messages.get(r["prog_name"], "")) for r in rows if r.get("verdict")}
    return done, last_message(logs.splitlines()) if table else f"{end}: {last_message(text.splitlines())}"


@functools.cache
def sources(bpf):
    """{test: text of the source file that it is in}"""
    found = {}
    for name in os.listdir(f"{bpf}/prog_tests"):
        if name.endswith(".c"):
            with open(f"{bpf}/prog_tests/{name}", encoding="utf-8", errors="replace") as f:
                text = f.read()
            found.update(dict.fromkeys(re.findall(r"^void (?:serial_)?test_(\w+)\(", text, flags=re.M), text))
    return found


def files_of(box, test):
    """The object files that a test of test_progs opens by name (the others are inside the program), and the programs that it starts."""
    text = sources(box.bpf).get(test, "")
    names = {os.path.basename(n) for n in re.findall(r'"([\w./]+\.bpf\.o)"', text)} | set(re.findall(r'"\./([\w.]+)', text))
    if "urandom_read" in names:
        names.add("liburandom_read.so")
    made = {"core_reloc": r"(btf__core_reloc_|test_core_reloc_)", "btf_dump": r"btf_dump_test_case_"}  # names that are put together
    for of, pattern in made.items():
        if of in test:
            names |= {n for n in os.listdir(box.bpf) if re.match(pattern + r".*\.bpf\.o$", n)}
    return there(box, names)


def there(box, names):
    return sorted(f"{box.bpf}/{n}" for n in names if os.path.exists(f"{box.bpf}/{n}"))


def each_on_device(box, seconds, files, command, words):
    """{word: what the command printed with it} of one boot, why the boot ended, and an outcome for what the kernel said."""
    adds = [w for f in files for w in ("--add", f)]
    text, end = run([box.vm_script, *adds, "--each", str(seconds), box.vm, box.bpf, *command, "--", *words], 6000, box.bpf)
    text = text.replace("\r", "")
    problems = [l for l in text.splitlines() if l.startswith("kernel log: ")]
    text = "\n".join(l for l in text.splitlines() if not l.startswith("kernel log: "))
    logs = dict(part.split("\n", 1) if "\n" in part else (part, "") for part in re.split(r"^#test ", text, flags=re.M)[1:])
    if not logs:
        raise RuntimeError(f"{command[0]} did not start ({end}):\n{text[-2000:]}")
    said = {f"{KERNEL_LOG} behind {words[0]}": Outcome("FAIL", problems[0]) if problems else Outcome("OK", "")}
    return logs, end, said


def progs_on_device(box, tests, stock):
    """Many tests in one boot, each in a process of its own. What a crash of the guest leaves is run in another boot."""
    done, left, end = {}, list(tests), 0
    while left:
        files = sorted({f for t in left for f in files_of(box, t)})
        logs, end, said = each_on_device(box, PROGS_SECONDS, files, ["./test_progs", "-a"], left)
        done.update(said)
        for test, log in logs.items():
            found = parse_progs(log)
            if test not in found:
                found[test] = Outcome("FAIL", f"it did not end: {last_message(log.splitlines())}")
            for name in stock:
                if name.startswith(f"{test}/"):
                    found.setdefault(name, Outcome("FAIL", NOT_RUN))
            done.update(found)
        left = [t for t in left if t not in logs]
        if end == 0:
            break
    done.update({t: Outcome("FAIL", f"{end}: {NOT_RUN}") for t in left})
    return done


# ---- test_maps, by each_map.c ----

def maps(box, names):
    """Those tests in one boot, each in a process of its own."""
    files = there(box, ["test_map_in_map.bpf.o", "test_map_in_map_invalid.bpf.o"])
    logs, end, outcomes = each_on_device(box, MAPS_SECONDS, files, ["./test_maps_each"], names)
    for name in names:
        last = ([""] + [l for l in logs.get(name, "").splitlines() if l.strip()])[-1]
        if name not in logs:
            outcomes[name] = Outcome("FAIL", f"{end}: {NOT_RUN}")
        elif last in ("#OK", "#SKIP"):
            outcomes[name] = Outcome(last[1:], "")
        else:
            outcomes[name] = Outcome("FAIL", last or f"did not end in {MAPS_SECONDS} s")
    return outcomes
