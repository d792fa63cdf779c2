# SPDX-License-Identifier: GPL-2.0-only
# Shell functions of the guest's tests. TAP without numbers: "ok - name", "not ok - name", diagnostics behind "# ".
ok() { echo "ok - $1"; }
not_ok() { echo "not ok - $1"; [ -z "$2" ] || echo "$2" | sed 's/^/# /' | head -${3:-20}; status=1; }
# check NAME COMMAND...: the command must succeed.
check() {
	name=$1; shift
	if out=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "$out"; fi
}
# check_match NAME PATTERN TEXT: an extended regular expression that the text must match.
check_match() {
	if printf '%s\n' "$3" | grep -qE -- "$2"; then ok "$1"; else not_ok "$1" "no match for: $2
$3"; fi
}
# check_fails NAME COMMAND...: the command must fail.
check_fails() {
	name=$1; shift
	if out=$("$@" 2>&1); then not_ok "$name" "succeeded: $out"; else ok "$name"; fi
}
# splats MORE: lines of the kernel log that a sound module never causes, or that match MORE. The taints of an out-of-tree, unsigned module
# are its own. The frames of a trace name functions, which may be called anything (psi_memstall_leave).
splats() {
	dmesg | grep -vE ' RIP: [0-9a-f]+:|^\[ *[0-9.]+\] +(\? )?[^ ]+\+0x[0-9a-f]+/0x[0-9a-f]+' |
		grep -E "BUG|WARNING:|Oops|general protection|unable to handle|KASAN|UBSAN|lockup|stall|hung task|refcount_t|scheduling while|sleeping function|modbpf: .*bug|leak$1" |
		grep -vE 'module verification failed|tainting kernel'
}
scan_dmesg() {
	if [ -z "$(splats '|Call Trace')" ]; then ok "$1: kernel log is clean"; else not_ok "$1: kernel log" "$(dmesg | tail -60)" 60; return 1; fi
}
# The same behind a test that asks the kernel for backtraces, which look like trouble; and the log begins anew.
scan_asked() {
	bad=$(splats)
	if [ -z "$bad" ]; then ok "$1: kernel log is clean"; else not_ok "$1: kernel log" "$bad"; fi
	dmesg -c >/dev/null
}
# Does this kernel have BPF of its own? And is it the one whose behaviour modbpf has, so that answers can be compared?
kernel_bpf() { [ -e /proc/sys/kernel/unprivileged_bpf_disabled ]; }
# (Not a debug kernel: lockdep finds fault with what its own BPF does in NMIs.)
kernel_is_peer() { kernel_bpf && [ ! -e /proc/lockdep ] && case $(uname -r) in 6.12.*) true ;; *) false ;; esac; }
# peer_passes NAME [ARGUMENT...]: /t/bin/NAME on its object passes on the kernel's own BPF, too.
peer_passes() {
	peer=$1; shift
	if MODBPF_BACKEND=kernel /t/bin/$peer /t/bin/$peer.bpf.o "$@" >/tmp/kernel.out 2>&1; then
		ok "$peer: the kernel's own BPF passes the same test"
	else
		not_ok "$peer: the kernel's own BPF" "$(grep '^not' /tmp/kernel.out)"
	fi
}
# with_groups NAME: the control groups of the unified hierarchy are at /tmp/cgroup2, or the script ends here.
with_groups() {
	grep -qw cgroup2 /proc/filesystems || { ok "$1: # SKIP this kernel has no control groups"; exit 0; }
	mkdir -p /tmp/cgroup2
	mount -t cgroup2 none /tmp/cgroup2 || { not_ok "$1: the control groups are not mounted"; exit 1; }
}
# Memory before and behind something: settle; mark; ...; settle; compare NAME. The kernel's own growth between two readings of an idle
# guest is some hundred KiB; a leak of one page a cycle would be megabytes. A debug kernel keeps what was freed for a while, and what it
# noted of it.
settle() { sync; echo 3 >/proc/sys/vm/drop_caches; sleep 2; echo 3 >/proc/sys/vm/drop_caches; sleep 1; }
total() { awk -v key="$1:" '$1 == key {print $2}' /proc/meminfo; }
mark() { for k in SUnreclaim VmallocUsed Percpu; do eval "was_$k=$(total $k)"; done; }
slack=1024
[ ! -e /proc/lockdep ] || slack=8192
compare() {
	for k in SUnreclaim VmallocUsed Percpu; do
		eval "was=\$was_$k"
		now=$(total $k)
		if [ $((now - was)) -le $slack ]; then ok "$1: $k $was -> $now KiB"; else not_ok "$1: $k grew from $was to $now KiB"; fi
	done
}
status=0
