# SPDX-License-Identifier: GPL-2.0-only
"""Runs in the guest, in the host's root: each tool of the plan on the kernel's own BPF and through modbpf.

usage: python3 guest.py FOLDER      FOLDER: the shared one, with plan.json; NAME.stock.json and NAME.modbpf.json are left in it
A tool runs on a terminal. When it has used no CPU time for a moment it is taken to be attached; the workload runs; the tool is
interrupted as by Ctrl-C.
"""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import judge

QUIET = 8  # times a tenth of a second asleep, and no CPU time used: it waits for events
TRIES = 2  # of a pair whose outputs differ, before that is the verdict


class Tool:
    """A tool on a terminal of its own."""

    def __init__(self, command, env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir('/tmp')
            os.execvpe('/bin/bash', ['/bin/bash', '-c', 'exec ' + command], env)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', 50, 240, 0, 0))
        self.text = b''
        self.status = None

    def read(self, seconds):
        """What it prints within that time; false when it has ended."""
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            if left <= 0:
                return True
            if select.select([self.fd], [], [], left)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:
                    data = b''
                if not data:
                    return False
                self.text += data

    def ticks(self):
        """CPU time that it has used; None while it would use more, or waits for a file. A machine that is itself held up gives it none."""
        try:
            with open(f'/proc/{self.pid}/stat') as f:
                fields = f.read().rpartition(')')[2].split()
            return int(fields[11]) + int(fields[12]) if fields[0] == 'S' else None
        except (OSError, IndexError):
            return None

    def settle(self, limit, ready):
        """Until it has printed what `ready` finds and uses no CPU time any more; false when it ended instead."""
        end = time.monotonic() + limit
        last, quiet = None, 0
        while time.monotonic() < end and quiet < QUIET:
            if not self.read(0.1):
                return False
            now = self.ticks() if re.search(ready, self.text.decode(errors='replace')) else None
            quiet = quiet + 1 if now is not None and now == last else 0
            last = now
        return True

    def finish(self, patience):
        """Interrupts it; it may take its time to print."""
        alive = True
        for sig, patience in ((signal.SIGINT, patience), (signal.SIGINT, 10), (signal.SIGKILL, 10)):
            if not alive:
                break
            try:
                os.kill(self.pid, sig)
            except ProcessLookupError:
                break
            alive = self.read(patience)
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        code = os.waitstatus_to_exitcode(status)
        self.status = str(code) if code >= 0 else signal.Signals(-code).name


def run(row, through, env):
    t0 = time.monotonic()
    tool = Tool(through + row['command'], env)
    alive = tool.settle(row['limit'], row['ready'])
    ready = time.monotonic() - t0
    worked = ''
    if alive and row['workload']:
        try:
            done = subprocess.run(['/bin/bash', '-c', row['workload']], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                  timeout=60, env=env, cwd='/tmp')
            if done.returncode:
                worked = f'the workload ended with {done.returncode}: {done.stdout.decode(errors="replace")[-500:]}'
        except subprocess.TimeoutExpired:
            worked = 'the workload did not end'
    if alive:
        tool.read(row['linger'])
    tool.finish(row['patience'])
    return {'output': tool.text.decode(errors='replace'), 'status': tool.status, 'ready': round(ready, 1),
            'seconds': round(time.monotonic() - t0, 1), 'workload': worked}


def faults():
    """What the kernel's log says that a sound module never causes."""
    log = subprocess.run(['dmesg', '-c'], stdout=subprocess.PIPE).stdout.decode(errors='replace').split('\n')
    words = ('BUG', 'WARNING:', 'Oops', 'general protection', 'unable to handle', 'UBSAN', 'lockup', 'refcount_t', 'Call Trace', 'hung task')
    return [line for line in log if any(w in line for w in words)]


def main():
    folder = sys.argv[1]
    with open(folder + '/plan.json') as f:
        plan = json.load(f)
    env = {'PATH': '/run/t:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'TERM': 'xterm', 'LANG': 'C.UTF-8', 'PYTHONDONTWRITEBYTECODE': '1',
           'BPFTRACE_LOG_SIZE': '4000000'}
    faults()

    def keep(name, what, result):
        with open(f'{folder}/{name}.{what}.json.new', 'w') as f:
            json.dump(result, f)
        os.rename(f'{folder}/{name}.{what}.json.new', f'{folder}/{name}.{what}.json')

    for row in plan:
        name, file = row['name'], row['file']
        for attempt in range(TRIES):
            stock = row.get('stock')
            if stock is None or attempt:
                print(f'#run {name} stock', flush=True)
                stock = run(row, '', env)
                stock['key'] = row['stock_key']
                keep(file, 'stock', stock)
                faults()
            if judge.judge(stock, stock, row)[0] == 'stock':
                if 'stock' in row and not attempt:
                    break
                continue
            print(f'#run {name} modbpf', flush=True)
            ours = run(row, '/run/t/modbpf exec -- ', env)
            ours['key'] = row['key']
            ours['log'] = faults()
            keep(file, 'modbpf', ours)
            if ours['log'] or judge.judge(stock, ours, row)[0] == 'same':
                break
        print(f'#done {name}', flush=True)


main()
