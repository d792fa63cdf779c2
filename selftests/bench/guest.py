# SPDX-License-Identifier: GPL-2.0-only
"""One boot of a virtual machine in which a measuring program runs on the kernel's own BPF and then on modbpf."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def add_arguments(parser):
    parser.add_argument("--kernel", default="6.12")
    parser.add_argument("--cpu", default="max")


def boot(args, program, words=(), adds=(), timeout=900):
    """-> {"kernel": {first word of a line: the others}, "module": ...} of what `program` prints. adds: [(file, place in the guest)]."""
    run = [os.path.join(HERE, "../vm/run"), "--icount", "--cpu", args.cpu, "--timeout", str(timeout), "--script", os.path.join(HERE, "guest"),
           "--add", f"{program}:/t/bench"]
    for source, place in adds:
        run += ["--add", f"{source}:{place}"]
    if words:
        run += ["--append", "bench_words=" + ",".join(map(str, words))]
    done = subprocess.run(run + [args.kernel], capture_output=True, text=True)
    found, rows = {}, None
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == "bench:":
            rows = found.setdefault(words[1], {})
        elif rows is not None and len(words) >= 2:
            rows[words[0]] = words[1:]
    if done.returncode or set(found) != {"kernel", "module"}:
        sys.exit(f"{done.stdout}{done.stderr}\nthe machine ended with {done.returncode}")
    return found
