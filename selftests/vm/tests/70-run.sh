# SPDX-License-Identifier: GPL-2.0-only
# `modbpf run`: every kind of report, the ways to end it, several files and several runs at once; and each failure says what to do next.
. /t/lib.sh
o=/t/bin
touch /t/marker
count() { grep -cE -- "$1" "$2"; }
same() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "wanted $2, got $3"; fi; }
# started PID FILE: the run says that it is attached.
started() {
	for i in $(seq 100); do grep -qs ' attached; ' "$2" && return 0; kill -0 "$1" 2>/dev/null || return 1; sleep 0.1; done
	return 1
}
rm -f /tmp/run.out /tmp/two.out /tmp/other.out
modbpf run $o/reports.bpf.o >/tmp/run.out 2>&1 &
r=$!
started $r /tmp/run.out; for i in 1 2 3 4 5; do cat /t/marker; done; sleep 1
kill -INT $r; wait $r; rc=$?
same "run: Ctrl-C ends it with status 0" 0 $rc
same "run: ring buffer records by field" 5 "$(count '^ring_events: pid=[0-9]+ n=[0-4] name="/t/marker"$' /tmp/run.out)"
same "run: perf buffer records by field" 5 "$(count '^perf_events: pid=[0-9]+ n=[0-4] name="/t/marker"$' /tmp/run.out)"
same "run: trace_printk lines" 5 "$(count 'bpf_trace_printk: opened /t/marker n=[0-4]$' /tmp/run.out)"
same "run: a table" 1 "$(count '^  0  5$' /tmp/run.out)"
same "run: a histogram" 1 "$(count '8 -> 15 +: 5 +\|\*{40}\|$' /tmp/run.out)"
same "run: global variables" 1 "$(count '^  seen = 5$' /tmp/run.out)"

rm -f /tmp/run.out
modbpf run --raw --seconds 1.5 $o/reports.bpf.o >/tmp/run.out 2>&1 &
r=$!
started $r /tmp/run.out; t0=$(date +%s); cat /t/marker; wait $r; rc=$?
same "run --seconds: ends by itself with status 0" 0 $rc
if [ $(($(date +%s) - t0)) -le 8 ]; then ok "run --seconds: in time"; else not_ok "run --seconds: took $(($(date +%s) - t0)) s"; fi
same "run --raw: bytes" 1 "$(count '^ring_events: ([0-9a-f]{2} )+ \|.*/t/marker' /tmp/run.out)"

modbpf run $o/reports.bpf.o /t/progs/execsnoop.bpf.o >/tmp/two.out 2>&1 &
r=$!
modbpf run $o/reports.bpf.o >/tmp/other.out 2>&1 &
s=$!
started $r /tmp/two.out; started $s /tmp/other.out; cat /t/marker; /bin/busybox true; sleep 1
kill -TERM $r $s; wait $r; rc=$?; wait $s
same "run: two files, ended by a TERM signal" 0 $rc
same "run: two files: the first reports" 1 "$(count '^ring_events: .*marker' /tmp/two.out)"
check_match "run: two files: the second reports" '^events: .*filename="/bin/(busybox|cat)"' "$(cat /tmp/two.out)"
same "run: two runs at once: both report" 1 "$(count '^ring_events: .*marker' /tmp/other.out)"
same "run: counts every process's run, not others'" 1 "$(count '^  seen = 1$' /tmp/other.out)"

# Eight programs, each on the event that --attach names; JSON lines.
modbpf run --output json --duration 1.5 --attach on_function=kprobe:vfs_read --attach on_return=kretprobe:vfs_read --attach on_event=tp:sched:sched_switch \
	-a on_raw=raw_tp:sys_enter -a on_typed=fentry:vfs_read -a on_typed=fentry:vfs_write $o/attach.bpf.o >/tmp/refused.out 2>&1; rc=$?
same "run --attach: one place for a typed program: status" 1 $rc
check_match "run --attach: one place for a typed program" 'on_typed=fentry:vfs_write: the program is on fentry:vfs_read already' "$(cat /tmp/refused.out)"
# Somebody had switched its event off: loading a program that prints lines switches it on again.
printing=/sys/kernel/tracing/events/modbpf/bpf_trace_printk/enable
echo 0 >$printing
rm -f /tmp/run.out
[ -e /proc/lockdep ] && long=30 || long=5 # on a debug kernel each command takes seconds to start, and they are shown while this one runs
modbpf run --output json --top runs --duration $long --attach on_function=kprobe:vfs_read --attach on_function=kprobe:vfs_write --attach on_return=kretprobe:vfs_read \
	--attach on_event=tp:sched:sched_switch -a on_raw=raw_tp:sys_enter -a on_typed=fentry:vfs_read -a on_clock=profile:49 \
	-a on_user=uprobe:/usr/lib/libc.so.6:malloc -a on_fault=perf:page-faults:1 $o/attach.bpf.o $o/reports.bpf.o >/tmp/run.out 2>/tmp/run.err &
r=$!
started $r /tmp/run.err; cat /t/marker; bpftool version >/dev/null
modbpf top --once --interval 0.4 >/tmp/top.out 2>&1; modbpf top --json -n 2 -d 0.3 >/tmp/top.json 2>&1
wait $r; rc=$?
same "run --attach: status" 0 $rc
[ $rc = 0 ] || cat /tmp/run.err
last=$(tail -n 1 /tmp/run.out)
for place in FUNCTION RETURNED EVENT RAW TYPED CLOCK USER FAULT; do
	check_match "run --attach: runs at $place" "\"key\": \"$place\", \"value\": [1-9]" "$last"
done
same "run --output json: records by field" 2 "$(count '^\{"type": "event", "time": [0-9.]+, "map": "(ring|perf)_events", "data": \{"pid": [0-9]+, "n": 0, "name": "/t/marker"\}\}$' /tmp/run.out)"
same "run: lines of trace_printk are switched on again" 1 "$(cat $printing)"
same "run --output json: lines of trace_printk" 1 "$(count '^\{"type": "trace", "time": [0-9.]+, "text": "opened /t/marker n=0"\}$' /tmp/run.out)"
check_match "run --output json: the end" '^\{"type": "end", "seconds": ([5-9]|[3-9][0-9])\.[0-9]+, "records": 3, "lost": 0, "programs": \[.*"maps": \{.*\}\}$' "$last"
check_match "run --output json: costs" '"name": "on_function", "runs": [1-9][0-9]*, "run_time_ns": [1-9].*"interval_mean_ns": \{"p50": [1-9]' "$last"
check_match "run --output json: a histogram" '"opens_hist": \[\{"key": null, "buckets": \[\{"low": 8, "high": 15, "count": 1\}\]\}\]' "$last"
check_match "run --output json: variables" '"seen": 1' "$last"
check_match "run --top: in JSON, again and again" '^\{"type": "top", "time": [0-9.]+, "map": "runs", "entries": \[\{"key": "[A-Z]+", "value": [0-9]+, "change_per_second": [0-9.]+\}' "$(tail -n 2 /tmp/run.out)"
check_match "top: a heading" '^modbpf top [0-9:]+: 9 programs, [0-9.k]+ runs/s, [0-9.]+% of a CPU$' "$(cat /tmp/top.out)"
check_match "top: what a program costs, and where it is" '^on_function +kprobe +[0-9]+ +[0-9.k]+ +[0-9.]+ [nu]s +[0-9.]+ +[0-9]+  kprobe:vfs_read, kprobe:vfs_write$' "$(cat /tmp/top.out)"
for event in kretprobe:vfs_read tracepoint:sched_switch raw_tp:sys_enter fentry:vfs_read 'perf:cpu-clock x2' 'perf:page-faults x2' 'uprobe:/usr/lib/libc.so.6:0x[0-9a-f]+'; do
	same "top: attached to $event" 1 "$(count "  $event\$" /tmp/top.out)"
done
same "top --json --iterations: lines" 2 "$(count '^\{"time": [0-9]+, "interval": [0-9.]+, "programs": \[\{"id": .*\}\]\}$' /tmp/top.json)"
check_match "top --json: a program" '"type": "tracing", "name": "on_typed", "runs_per_second": [0-9.]+, "mean_ns": [0-9.]+, "cpu_percent": [0-9.]+, "recursion_misses": [0-9]+, "attached_to": \["fentry:vfs_read"\]\}' "$(cat /tmp/top.json)"
# On a terminal: the greatest values on a screen that is drawn anew, then the report; and the status line under records.
mkdir -p /dev/pts; mount -t devpts none /dev/pts
stty_run() { TERM=vt100 script -qc "stty rows 20 cols 100; modbpf run $*" /tmp/script.out </dev/null >/dev/null 2>&1; tr '\r\033' '\n~' </tmp/script.out >/tmp/run.out; }
stty_run --top opens_hist:linear=16 --interval 0.4 --duration 1 -a on_raw=raw_tp:sys_enter -a on_function=kprobe:vfs_read -a on_return=kprobe:vfs_open \
	-a on_event=tp:sched:sched_switch -a on_typed=fentry:vfs_read -a on_clock=profile:9 -a on_user=kprobe:vfs_write $o/attach.bpf.o $o/reports.bpf.o
check_match "run --top: a histogram on a terminal" '^opens_hist~\[K$' "$(cat /tmp/run.out)"
check_match "run --top: the status above it" '^~\[H[0-9.]+ s \| [0-9]+ records, [0-9.k]+/s, 0 lost \| .*on_[a-z]+ [0-9.k]+/s [0-9.]+ [num]s' "$(cat /tmp/run.out)"
check_match "run: costs at the end, on a terminal" '^  on_raw +[1-9][0-9]* ' "$(cat /tmp/run.out)"
stty_run --interval 0.3 --duration 1 $o/reports.bpf.o
check_match "run: the status line on a terminal" '^~?\[?K?[0-9.]+ s \| [0-9]+ records, [0-9.k]+/s, 0 lost' "$(cat /tmp/run.out)"
modbpf run --top runs:table --rows 2 --interval 0.5 --duration 0.8 -a on_raw=raw_tp:sys_enter -a on_function=kprobe:vfs_read -a on_return=kprobe:vfs_open \
	-a on_event=tp:sched:sched_switch -a on_typed=fentry:vfs_read -a on_clock=profile:9 -a on_user=kprobe:vfs_write $o/attach.bpf.o >/tmp/run.out 2>&1
check_match "run --top: elsewhere tables that follow each other" '^  RAW +[0-9]+ +[0-9.k]+$' "$(cat /tmp/run.out)"

# A profile: kernel functions under dd, functions of the verifier's library under modbpf verify, which is gone when names are given.
rm -f /tmp/run.err
[ -e /proc/lockdep ] && long=60 || long=2 # on a debug kernel the command takes 20 s, most of them for page faults
modbpf run --attach on_sample=profile:199 --duration $long --flame /tmp/flame.svg --folded /tmp/folded.txt /t/progs/profile.bpf.o >/tmp/run.out 2>/tmp/run.err &
r=$!
started $r /tmp/run.err
dd if=/dev/zero of=/dev/null bs=1M count=3000 2>/dev/null & d=$!
while kill -0 $r 2>/dev/null; do modbpf verify --verify-only /t/bin/storm.bpf.o /t/bin/objects.bpf.o /t/bin/hooks.bpf.o >/dev/null 2>&1; done
wait $r; rc=$?; kill $d 2>/dev/null; wait $d 2>/dev/null
same "run --flame: status" 0 $rc
check_match "run --folded: kernel functions" '^dd;(.*;)?[a-z_0-9]*read[a-z_0-9]*_\[k\];.*_\[k\] [0-9]+$' "$(cat /tmp/run.err /tmp/folded.txt)"
check_match "run --folded: functions of a library" '^modbpf;(.*;)?modbpf::[a-z_0-9]+[^;]*(;.*)? [0-9]+$' "$(cat /tmp/run.err /tmp/folded.txt)"
check_match "run --flame: a drawing" '^<g class="frame" .*<title>dd: [0-9]+ \([0-9.]+%\)</title><rect ' "$(cat /tmp/flame.svg)"

# refusal NAME STATUS PATTERN ARGUMENTS...
refusal() {
	name=$1 want=$2 pattern=$3; shift 3
	modbpf run --seconds 0.5 "$@" >/tmp/refused.out 2>&1; rc=$?
	same "run: $name: status" "$want" $rc
	check_match "run: $name: says what to do" "$pattern" "$(cat /tmp/refused.out)"
}
refusal "one of two files fails" 1 'no_such_function_here.*/proc/kallsyms' $o/reports.bpf.o $o/nosuch.bpf.o
refusal "refused program" 1 'modbpf verify /t/bin/refused.bpf.o' $o/refused.bpf.o
check_match "run: refused program: the verifier's log" '^processed [0-9]+ insns' "$(cat /tmp/refused.out)"
refusal "absent map type" 1 'map cpus is of type cpumap.*modbpf features' $o/absent.bpf.o
refusal "map without room" 1 '(ENOMEM|E2BIG)\).*too large' $o/huge.bpf.o
refusal "nothing to attach" 1 'name events in sections' /t/progs/packets.bpf.o
refusal "not an object file" 1 'clang -O2 -g -target bpf' /t/marker
refusal "no file" 1 'cannot be read' /t/nothing.o
refusal "--flame without stacks" 1 'no map counts stacks: --flame and --folded need a hash' --flame /tmp/no.svg $o/reports.bpf.o
refusal "--stacks of another map" 1 'no map called opens counts stacks' --flame /tmp/no.svg --stacks opens $o/reports.bpf.o
refusal "--folded into nowhere" 1 'cannot write /nowhere/x: No such file' --folded /nowhere/x -a on_sample=profile:9 /t/progs/profile.bpf.o
refusal "--top of no map" 1 'no such map; there are opens, opens_hist' --top nothing $o/reports.bpf.o
refusal "--top of a buffer" 1 'neither a hash nor an array' --top ring_events $o/reports.bpf.o
refusal "--attach of no program" 1 "there is no program 'nobody'; there are on_function, on_event" -a nobody=kprobe:vfs_read $o/attach.bpf.o
refusal "--attach to no function" 1 'cannot attach on_open to kprobe:no_such_function_here: .*/proc/kallsyms' -a on_open=kprobe:no_such_function_here $o/reports.bpf.o
refusal "--attach to no typed function" 1 'cannot attach on_open to fentry:no_such_function_here: .*types have no such function' -a on_open=fentry:no_such_function_here $o/reports.bpf.o
refusal "--attach to no event" 1 'cannot attach on_open to tp:sched:nothing: .*available_events' -a on_open=tp:sched:nothing $o/reports.bpf.o
refusal "--attach to no file" 1 'cannot attach on_open to uprobe:/bin/nothing:main: .*no such file' -a on_open=uprobe:/bin/nothing:main $o/reports.bpf.o
refusal "a section that says nothing" 1 'the section of on_function \(any\) says neither type nor event; --attach on_function=EVENT does' $o/attach.bpf.o
cp -r $o /tmp/bin; chmod -R a+rX /tmp/bin
su -s /bin/sh nobody -c 'modbpf run --seconds 1 /tmp/bin/nosuch.bpf.o' >/tmp/refused.out 2>&1; rc=$?
same "run: not root: status" 2 $rc
check_match "run: not root: says what to do" 'run as root' "$(cat /tmp/refused.out)"
check "run: nothing of all that stays: rmmod" rmmod modbpf
modbpf top --once >/tmp/refused.out 2>&1; rc=$?
same "top: no module: status" 2 $rc
check_match "top: no module: says what to do" 'modprobe modbpf' "$(cat /tmp/refused.out)"
refusal "no module" 2 'modprobe modbpf' $o/reports.bpf.o
same "run: no module: in one line" 1 "$(wc -l </tmp/refused.out)"
insmod /modbpf.ko
exit $status
