#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# modbpf verify: verdicts, output, exit status; hundreds of truncated and mutated object files under the sanitizers.
# COUNT=N: how many of those (default 600). BINARY=PATH: another build of the command.
cd "$(dirname "$0")/../.." || exit 1
m=${BINARY:-build/asan/modbpf} fails=0 dir=build/test/verify
unset MODBPF_BACKEND LD_PRELOAD
[ -n "${BINARY:-}" ] || make -s build/asan/modbpf || exit 1
mkdir -p $dir && make -s build/test/mutate || exit 1
clang-19 -O2 -g -target bpf -I/usr/include/x86_64-linux-gnu -c loader/test/sample.bpf.c -o $dir/sample.o || exit 1
ok() { # NAME EXPECTED-STATUS EXPECTED-TEXT COMMAND...
	local name=$1 want=$2 text=$3 out got
	shift 3
	out=$("$@" 2>&1)
	got=$?
	if [ $got = "$want" ] && [[ "$out" == *"$text"* ]]; then echo "ok: $name"; else
		echo "FAILED: $name: status $got, not $want, or no '$text' in:"
		echo "$out" | head -40
		fails=1
	fi
}
ok "a verdict per program" 1 "3 accepted, 1 refused" $m verify $dir/sample.o
ok "accepted" 0 "accepted   handle_exec (tracepoint/sched/sched_process_exec)" $m verify -p handle_exec $dir/sample.o
ok "refused, with the log" 1 "R0 invalid mem access 'map_value_or_null'" $m verify -p refused $dir/sample.o
ok "errno of a refusal" 1 "Permission denied (EACCES)" $m verify -p refused $dir/sample.o
ok "statistics" 0 "accepted   pass (xdp): processed 2 instructions" $m verify -p pass $dir/sample.o
ok "whole log" 0 "R10=fp0" $m verify -vv -p pass $dir/sample.o
ok "no such program" 2 "no program of that name" $m verify -p nothing $dir/sample.o
ok "json" 1 '"verdict": "refused", "errno": 13, "error": "EACCES"' $m verify --json $dir/sample.o
ok "no file" 2 "cannot be read" $m verify /nonexistent.o
ok "no argument" 2 "modbpf verify prog.o" $m verify
ok "not an object" 2 "compile with" $m verify loader/test/verify.sh
ok "a device" 2 "is not a file" $m verify /dev/null
ok "a folder" 2 "is not a file" $m verify /tmp
: >$dir/empty.o
ok "an empty file" 2 "is not a BPF object file" $m verify $dir/empty.o
ok "an x86 object" 2 "another machine" $m verify build/rel/loader/cli/main.o
ok "help" 0 "Exit status" $m verify --help
ok "bad option" 2 "" $m verify --nonsense $dir/sample.o
ok "bad level" 2 "takes 1 to 7" $m verify -l 9 $dir/sample.o
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	pub=$(mktemp -d) && chmod 755 "$pub" && cp $m build/libmodbpf.so $dir/sample.o "$pub/" 2>/dev/null
	ok "without privileges" 1 "3 accepted, 1 refused" setpriv --reuid=65534 --regid=65534 --clear-groups \
		--bounding-set=-all --inh-caps=-all "$pub/$(basename $m)" verify "$pub/sample.o"
	rm -rf "$pub"
fi
# Broken files: any verdict, no crash.
n=${COUNT:-600}
rm -rf $dir/broken && mkdir -p $dir/broken
build/test/mutate $dir/sample.o $dir/broken "$n" 4 || exit 1
timeout 300 $m verify --json $dir/broken/*.o >$dir/broken.json 2>$dir/broken.err
got=$?
[ $got -le 2 ] || { echo "FAILED: broken files: status $got"; fails=1; }
crashes=$(grep -c "process that read it crashed" $dir/broken.json)
reports=$(grep -cE "Sanitizer|runtime error|BUG at" $dir/broken.err)
judged=$(grep -c '"file"' $dir/broken.json)
if [ "$crashes" = 0 ] && [ "$reports" = 0 ] && [ "$judged" -ge "$n" ]; then
	echo "ok: $n broken files: $(grep -c '"accepted"' $dir/broken.json) programs accepted, $(grep -c '"refused"' $dir/broken.json) refused, $(grep -c '"unreadable"' $dir/broken.json) files unreadable"
else
	echo "FAILED: $n broken files: $judged answers, $crashes crashes, $reports reports in $dir/broken.err"
	grep "crashed" $dir/broken.json | head -5
	grep -E -A12 "Sanitizer|runtime error|BUG at" $dir/broken.err | head -40
	fails=1
fi
exit $fails
