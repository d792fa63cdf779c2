# SPDX-License-Identifier: GPL-2.0-only
"""Runs a program of the suites in process without touching this machine: a private view of the files that decide what it
tests, and no way to the kernel's own BPF or to its modules.

usage: sandbox.py BTF COMMAND...     (as root; BTF: the raw BTF of the kernel that the programs are for)
"""
import ctypes
import os
import struct
import sys
import tempfile

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUTS = 0x20000, 0x8000000, 0x4000000
MS_BIND, MS_REC, MS_PRIVATE, MS_REMOUNT, MS_RDONLY = 0x1000, 0x4000, 0x40000, 0x20, 0x1
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
RET_ALLOW, RET_ERRNO = 0x7FFF0000, 0x00050000
EPERM, ENOSYS = 1, 38
INIT_MODULE, DELETE_MODULE, FINIT_MODULE, BPF, REBOOT, KEXEC_LOAD, KEXEC_FILE_LOAD = 175, 176, 313, 321, 169, 246, 320
# Loading the suites' test module seems to work, so that the tests that do not need it run.
DENIED = {INIT_MODULE: 0, DELETE_MODULE: 0, FINIT_MODULE: 0, BPF: ENOSYS, REBOOT: EPERM, KEXEC_LOAD: EPERM, KEXEC_FILE_LOAD: EPERM}


def must(rc, what):
    if rc:
        sys.exit(f"sandbox: {what}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, flags):
    must(libc.mount(source.encode(), target.encode(), b"none", flags, None), f"mount {source} on {target}")


def show_instead(target, text):
    """Readers of the file `target` see `text`."""
    with tempfile.NamedTemporaryFile("w", delete=False) as f:
        f.write(text)
    mount(f.name, target, MS_BIND)
    os.unlink(f.name)


def deny_calls():
    def op(code, jt, jf, k):
        return struct.pack("HBBI", code, jt, jf, k)
    program = op(0x20, 0, 0, 0)  # the call's number
    for number, error in DENIED.items():
        program += op(0x15, 0, 1, number) + op(0x06, 0, 0, RET_ERRNO | error)
    program += op(0x06, 0, 0, RET_ALLOW)
    code = ctypes.create_string_buffer(program)
    prog = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    must(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(prog), 0, 0), "seccomp")


def enter(btf):
    must(libc.unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS), "unshare")
    mount("none", "/", MS_REC | MS_PRIVATE)
    mount(btf, "/sys/kernel/btf/vmlinux", MS_BIND)
    mount("/proc/sys", "/proc/sys", MS_BIND)
    mount("none", "/proc/sys", MS_BIND | MS_REMOUNT | MS_RDONLY)
    show_instead("/proc/sys/kernel/unprivileged_bpf_disabled", "0\n")
    show_instead("/proc/sys/net/core/bpf_jit_enable", "1\n")
    deny_calls()


if __name__ == "__main__":
    enter(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])
