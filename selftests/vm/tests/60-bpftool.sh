# SPDX-License-Identifier: GPL-2.0-only
# Debian's bpftool, unmodified, on what modbpf holds; on 6.12 its output is compared with what it says of the kernel's own BPF.
. /t/lib.sh
o=/t/bin/quiet.bpf.o
# bt NAME PATTERN ARGUMENTS...: bpftool succeeds and says this. bt_fails: it fails and says this.
bt() {
	name=$1 pattern=$2; shift 2
	text=$(modbpf exec -- bpftool "$@" 2>&1 </dev/null); rc=$?
	[ $rc -eq 0 ] || { not_ok "bpftool: $name: status $rc" "$text"; return; }
	check_match "bpftool: $name" "$pattern" "$text"
}
bt_fails() {
	name=$1 pattern=$2; shift 2
	text=$(modbpf exec -- bpftool "$@" 2>&1 </dev/null); rc=$?
	[ $rc -ne 0 ] || { not_ok "bpftool: $name: succeeded" "$text"; return; }
	check_match "bpftool: $name" "$pattern" "$text"
}
count_is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "wanted $2, got $3"; fi; }
start() {
	rm -f /tmp/run.out
	modbpf run --backend="$1" $o >/tmp/run.out 2>&1 &
	runner=$!
	for i in $(seq 100); do grep -qs attached /tmp/run.out && return; sleep 0.1; done
	not_ok "bpftool: nothing runs on $1" "$(cat /tmp/run.out)"
}
stop() { kill -INT $runner; wait $runner; }

start device
progs=$(modbpf exec -- bpftool prog list 2>&1)
count_is "bpftool: prog list: both programs, no other" 2 "$(printf '%s\n' "$progs" | grep -cE '^[0-9]+: kprobe  name (on_enter|on_exit)  tag [0-9a-f]{16}  gpl$')"
count_is "bpftool: prog list: nothing else" 2 "$(printf '%s\n' "$progs" | grep -cE '^[0-9]+:')"
p=$(printf '%s\n' "$progs" | sed -n 's/^\([0-9]*\): .*on_enter.*/\1/p')
maps=$(modbpf exec -- bpftool map list 2>&1)
count_is "bpftool: map list: hash, per-CPU array, .data, .rodata" 4 "$(printf '%s\n' "$maps" | grep -cE '^[0-9]+: (hash  name table|percpu_array  name per_cpu|array  name quiet.data|array  name quiet.rodata) ')"
m=$(printf '%s\n' "$maps" | sed -n 's/^\([0-9]*\): hash .*/\1/p')
c=$(printf '%s\n' "$maps" | sed -n 's/^\([0-9]*\): percpu_array .*/\1/p')
r=$(printf '%s\n' "$maps" | sed -n 's/^\([0-9]*\): array  name quiet.rodata.*/\1/p')
bt "prog show id" 'xlated [1-9][0-9]*B  jited [1-9][0-9]*B  memlock [0-9]+B  map_ids ' prog show id "$p"
bt "prog show name" "^$p: kprobe" prog show name on_enter
bt "JSON" '^\[\{"id":[0-9]+,"type":"kprobe","name":"on_(enter|exit)","tag":"[0-9a-f]{16}","gpl_compatible":true.*\}\]$' -j prog list
bt "dump xlated: the source's lines" '^; total \+= count\(v\);' prog dump xlated id "$p"
bt "dump xlated: the function's name" '^int count\(struct value \* v\):' prog dump xlated id "$p"
bt "dump xlated: calls lead somewhere" 'call pc\+[1-9][0-9]*#0xffffffff' prog dump xlated id "$p"
bt "dump xlated linum" 'line_num:[0-9]+ line_col:[0-9]+' prog dump xlated id "$p" linum
bt "dump xlated visual: both functions" 'label="func_1 ' prog dump xlated id "$p" visual
modbpf exec -- bpftool prog dump xlated id "$p" 2>&1 | grep -q 'error' && not_ok "bpftool: dump xlated reports an error" || ok "bpftool: dump xlated reports no error"
# Debian 12's bpftool is built without a disassembler: that is its own answer.
bt_fails "dump jited" 'No libbfd support' prog dump jited id "$p"
bt "map update" '' map update id "$m" key 1 0 0 0 value 7 0 0 0 0x61 0x62 0x63 0
bt "map lookup, by the value's BTF" '"count": 7' map lookup id "$m" key 1 0 0 0
bt_fails "map update noexist" 'File exists' map update id "$m" key 1 0 0 0 value 7 0 0 0 0 0 0 0 noexist
bt "map dump" '"name": "abc"' map dump id "$m"
bt "map getnext" '^01 00 00 00' map getnext id "$m"
bt "map delete" '' map delete id "$m" key 1 0 0 0
bt_fails "map lookup of nothing" 'Not found' map lookup id "$r" key 7 0 0 0
bt "per-CPU map" '"cpu": 1' map lookup id "$c" key 0 0 0 0
bt "map show name" "^$m: hash" map show name table
bt_fails "the read-only map stays so" 'Operation not permitted' map update id "$r" key 0 0 0 0 value 1 0 0 0
bt "map freeze" '' map freeze id "$m"
bt_fails "a frozen map stays so" 'Operation not permitted' map update id "$m" key 1 0 0 0 value 7 0 0 0 0 0 0 0
links=$(modbpf exec -- bpftool link list 2>&1)
count_is "bpftool: link list" 2 "$(printf '%s\n' "$links" | grep -cE "^[0-9]+: perf_event  prog [0-9]+")"
l=$(printf '%s\n' "$links" | sed -n "s/^\([0-9]*\): perf_event  prog $p .*/\1/p")
bt "link show" "^$l: perf_event  prog $p" link show id "$l"
bt "perf show" "prog_id $p  kprobe  func __x64_sys_swapoff  offset 0" perf show
b=$(modbpf exec -- bpftool btf list 2>&1 | sed -n 's/^\([0-9]*\): .*prog_ids.*/\1/p')
bt "btf list" 'prog_ids [0-9]+,[0-9]+  map_ids [0-9,]+' btf list
bt "btf dump" "STRUCT 'value' size=8 vlen=2" btf dump id "$b"
bt "btf dump format c" '^struct value \{' btf dump id "$b" format c
bt "btf dump of a map" "STRUCT 'value' size=8" btf dump map id "$m" value
# The probe of helpers is thousands of loads; the types are its start.
modbpf exec -- bpftool feature probe kernel 2>/dev/null | sed -n '1,/Scanning eBPF helper functions/p' >/tmp/probe.out
for t in socket_filter kprobe sched_cls tracepoint xdp raw_tracepoint; do
	check "bpftool: feature probe: program type $t" grep -q "eBPF program_type $t is available" /tmp/probe.out
done
for t in hash array prog_array perf_event_array percpu_hash percpu_array ringbuf; do
	check "bpftool: feature probe: map type $t" grep -q "eBPF map_type $t is available" /tmp/probe.out
done
check "bpftool: feature probe: what is absent" grep -q 'eBPF program_type lirc_mode2 is NOT available' /tmp/probe.out
bt "prog pin" '' prog pin id "$p" /sys/fs/bpf/x
bt "prog show pinned" "^$p: kprobe" prog show pinned /sys/fs/bpf/x
bt_fails "a name that is taken" 'File exists' map pin id "$m" /sys/fs/bpf/x
bt "link pin" '' link pin id "$l" /sys/fs/bpf/y
bt "prog loadall" '' prog loadall $o /sys/fs/bpf/all pinmaps /sys/fs/bpf/maps
bt "prog loadall: its map" '^[0-9]+: hash  name table' map show pinned /sys/fs/bpf/maps/table
check "bpftool: what was pinned goes" modbpf exec -- rm -r /sys/fs/bpf/x /sys/fs/bpf/y /sys/fs/bpf/all /sys/fs/bpf/maps
bt_fails "prog show of no id" "No such file or directory" prog show id 999999
stop
count_is "bpftool: the run's variables" 1 "$(grep -c '^  total = 5$' /tmp/run.out)"
# A program's maps go with it, after a grace period.
for i in $(seq 50); do [ -z "$(modbpf exec -- bpftool map list 2>&1)" ] && break; sleep 0.1; done
left=$(for w in prog map link btf; do modbpf exec -- bpftool $w list; done 2>&1 | grep -v 'name \[vmlinux\]')
count_is "bpftool: nothing is left" "" "$left"

start_log() { modbpf exec -- timeout 3 bpftool prog tracelog >/tmp/trace.out 2>&1 & tracer=$!; sleep 1; }
modbpf exec -- sh -c 'sleep 100' & sleeper=$!
start_log
modbpf run --seconds 1 /t/bin/quiet.bpf.o >/dev/null 2>&1
wait $tracer; kill $sleeper
check_fails "bpftool: prog tracelog opens the trace" grep -q Error /tmp/trace.out

# One sequence on both, with what may differ taken out: sizes, times, instruction counts.
sequence() {
	x="$1"
	id() { $x bpftool "$1" list | sed -n "s/^\([0-9]*\): .*name $2 .*/\1/p"; }
	p=$(id prog on_enter) m=$(id map table) c=$(id map per_cpu)
	for command in "prog show id $p" "-j prog show id $p" "map show id $m" "map update id $m key 1 0 0 0 value 7 0 0 0 97 98 99 0" \
		"map update id $m key 1 0 0 0 value 7 0 0 0 0 0 0 0 noexist" "map update id $m key 2 0 0 0 value 7 0 0 0 0 0 0 0 exist" \
		"map update id $m key 2 0 value 7" "map lookup id $m key 1 0 0 0" "map lookup id $m key 5 0 0 0" "map dump id $m" "-j map dump id $m" \
		"map getnext id $m" "map getnext id $m key 1 0 0 0" "map delete id $m key 1 0 0 0" "map delete id $m key 1 0 0 0" "map lookup id $c key 0 0 0 0" \
		"map lookup id $c key 9 0 0 0" "map update id $c key 0 0 0 0 value 1 0 0 0 0 0 0 0" "map delete id $c key 0 0 0 0" "map peek id $m" "map pop id $m" \
		"map push id $m value 1 2 3 4 5 6 7 8" "map freeze id $m" "map freeze id $m" "map update id $m key 1 0 0 0 value 7 0 0 0 0 0 0 0" "map show name table" \
		"prog show id 12345678" "map show id 12345678" "link show id 12345678" "btf dump id 12345678" "btf dump prog id $p" "btf dump map id $m kv" \
		"btf dump map id $m all format c" "prog run id $p data_in /t/marker repeat 2" "prog dump jited id $p" "link list" "-j link list" "struct_ops list" \
		"map create /sys/fs/bpf/x type hash key 4 value 8 entries 16 name made" "map update pinned /sys/fs/bpf/x key 1 0 0 0 value 7 0 0 0 0 0 0 0" \
		"map create /sys/fs/bpf/x type hash key 4 value 8 entries 16" "map dump pinned /sys/fs/bpf/x" "map pin id $m /sys/fs/bpf/y" \
		"map pin id $m /sys/fs/bpf/a.b" "prog pin id $p /sys/fs/bpf/p" "prog show pinned /sys/fs/bpf/p" "prog show pinned /sys/fs/bpf/y" \
		"-f map show id $m" "-f -j prog show id $p" "prog load $o /sys/fs/bpf/q type kprobe" "prog show pinned /sys/fs/bpf/q" "prog load $o /sys/fs/bpf/q type kprobe" \
		"prog loadall $o /sys/fs/bpf/all pinmaps /sys/fs/bpf/maps" "map show pinned /sys/fs/bpf/maps/table"; do
		echo "\$ bpftool $command"
		$x bpftool $command 2>&1 </dev/null
		echo "= $?"
	done | sed -E "s/\bid $p\b/id P/g; s/\bid $m\b/id M/g; s/\bid $c\b/id C/g; s/\"id\":[0-9]+/\"id\":N/g; s/^[0-9]+: /N: /;
		s/(prog|btf_id|prog_id\":|btf_id\":) ?[0-9]+/\1 N/g; s/(xlated|jited|memlock) [0-9]+B/\1/g; s/\"bytes_(xlated|jited|memlock)\":[0-9]+/\1/g;
		s/map_ids [0-9,]+/map_ids/; s/\"map_ids\":\[[0-9,]*\]/map_ids/; s/loaded_at [^ ]*/loaded_at/; s/\"loaded_at\":[0-9]+/loaded_at/"
}
if kernel_is_peer; then
	touch /t/marker
	start device; sequence "modbpf exec --" >/tmp/ours; stop
	start kernel; sequence "" >/tmp/kernels; stop
	modbpf exec -- sh -c 'rm -r /sys/fs/bpf/*'
	n=$(grep -c '^\$' /tmp/ours)
	if [ "$n" -ge 35 ] && cmp -s /tmp/ours /tmp/kernels; then ok "bpftool: $n commands: as on the kernel's own BPF"; else
		not_ok "bpftool: $n commands: unlike the kernel's own BPF" "$(diff /tmp/ours /tmp/kernels)" 60; fi
fi
exit $status
