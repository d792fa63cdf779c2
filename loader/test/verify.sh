#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# modbpf verify: verdicts, output, exit status; hundreds of truncated and mutated object files under the sanitizers.
# COUNT=N: how many of those (default 600). BINARY=PATH: another build of the command.
cd "$(dirname "$0")/../.." || exit 1
m=${BINARY:-build/asan/modbpf} fails=0 dir=build/test/verify
unset MODBPF_BACKEND LD_PRELOAD
[ -n "${BINARY:-}" ] || make -s build/asan/modbpf || exit 1
mkdir -p $dir && make -s build/test/mutate || exit 1
for p in sample refused; do
	clang-19 -O2 -g -target bpf -I/usr/include/x86_64-linux-gnu -c loader/test/$p.bpf.c -o $dir/$p.o || exit 1
done
llvm-objcopy-19 --remove-section=.BTF.ext --remove-section=.rel.BTF.ext $dir/refused.o $dir/no_lines.o || exit 1
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
ok "the way to an explanation" 1 "(--explain says in words" $m verify $dir/sample.o
ok "errno of a refusal" 1 "Permission denied (EACCES)" $m verify -p refused $dir/sample.o
ok "statistics" 0 "accepted   pass (xdp): processed 2 instructions" $m verify -p pass $dir/sample.o
ok "whole log" 0 "R10=fp0" $m verify -vv -p pass $dir/sample.o
bodies=(selftests/bench/jit/bodies/*.bpf.c)
bodies=("${bodies[@]/#selftests\/bench\/jit/build\/bench}")
bodies=("${bodies[@]/%.c/.o}")
make -s "${bodies[@]}" || exit 1
ok "the programs of the benchmarks: one has many paths" 0 "${#bodies[@]} accepted" $m verify "${bodies[@]}"
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
explain() { ok "explain: $1 ($2)" 1 "$3" $m verify --explain -p "$2" $dir/refused.o; }
explain "the source line, underlined" null_value "41 | 	c->slot[2] = 1;
       | 	^~~~~~~~~~"
explain "the instruction, underlined" null_value "7: (7b) *(u64 *)(r0 +16) = r1
                     ^~"
explain "what is required" null_value "required: a pointer that is known not to be NULL"
explain "what is known" null_value "known:    R0 = map_value_or_null(id=1,map=counts,ks=4,vs=64): a pointer to a map's value counts (64 bytes), or NULL"
explain "a value through a call" null_value "16: (95) exit
            returned: R0 = map_value_or_null"
explain "the decision on the path" null_value "5: (25) if r1 > 0x3 goto pc+2
            the condition does not hold"
explain "what to change" null_value "what to change: compare the pointer with NULL"
explain "both operands of a sum" wild_index "R6 = scalar(smin=smin32=0,smax=umax=smax32=umax32=8"
explain "what a comparison told" wild_index "here it is known that R6 = scalar("
explain "the packet" short_packet "error: 1 byte at offset 14 of R2 may lie behind the packet's end: 14 bytes are known"
explain "where a reference came from" kept_record "acquired here, and held from here on"
explain "an argument, underlined" wild_size "98 | 	return bpf_probe_read_kernel(text, ctx->args[1], (void *)ctx->args[0]);
       | 	                                   ^~~~~~~~~~~~"
explain "a number as an address" kernel_address "read with bpf_probe_read_kernel()"
explain "a loop" endless "the loop at instruction 3 comes back in the same state"
explain "the context" wrong_field "R1 = ctx(): the context"
explain "what a call destroyed" lost_argument "the call leaves nothing in R1"
explain "arithmetic" cut_pointer "a pointer goes through <<=, which takes only numbers"
ok "explain: all refused" 1 "0 accepted, 10 refused" $m verify -e $dir/refused.o
ok "explain: without line information" 1 "7: (7b) *(u64 *)(r0 +16) = r1
                     ^~" $m verify -e -p null_value $dir/no_lines.o
ok "explain: accepted programs as before" 0 "accepted   pass (xdp): processed 2 instructions" $m verify -e -p pass $dir/sample.o
ok "explain: the log on request" 1 "R0 invalid mem access 'map_value_or_null'
    processed" $m verify -ev -p refused $dir/sample.o
ok "explain: only in this process" 2 "leave --backend=kernel away" $m verify -e --backend=kernel $dir/refused.o
ok "explain: json" 0 "41 5 [8, 10] ['R0'] [3, 15, 16, 5]" python3 -c '
import json, subprocess, sys
r = json.loads(subprocess.run(sys.argv[1:], capture_output=True, text=True).stdout)
e = r[0]["explanation"]
print(e["at"]["line"], r[0]["explanation"]["path"][-1]["at"]["insn"], [e["at"]["length"] - 2, e["at"]["length"]],
      [k["name"] for k in e["known"]], [w["at"]["insn"] for w in e["path"]])' $m verify --json --explain -p null_value $dir/refused.o
ok "stats: a table" 1 "sample.o  pass         accepted      2       0            0" $m verify --stats $dir/sample.o
ok "stats: the sum" 1 "4 programs               214      12" $m verify --stats --save=$dir/run.tsv $dir/sample.o
ok "compare: the same" 0 "4 programs: 0 verdicts differ; now/before in geometric mean: instructions 1.000" $m verify --compare=$dir/run.tsv $dir/sample.o
sed 's/pass	xdp	accepted	2	0/pass	xdp	EACCES	1	0/' $dir/run.tsv >$dir/other.tsv
ok "compare: a verdict" 1 "EACCES -> accepted  1 -> 2  +100.0%" $m verify --compare=$dir/other.tsv $dir/sample.o
ok "compare: a program that is gone, one that is new" 0 "gone: accepted" $m verify --compare=$dir/run.tsv -p pass $dir/sample.o
ok "compare: not a saved run" 2 "is not what \`modbpf verify --save\` writes" $m verify --compare=README.md $dir/sample.o
ok "compare: no file" 2 "cannot read /nonexistent" $m verify --compare=/nonexistent $dir/sample.o
ok "save: cannot be written" 2 "cannot write /nonexistent/run" $m verify --save=/nonexistent/run -p pass $dir/sample.o
ok "stats: not with json" 2 "does not go with" $m verify --json --stats $dir/sample.o
ok "page: cannot be written" 2 "cannot write /nonexistent/page.html" $m verify --html=/nonexistent/page.html -p pass $dir/sample.o
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
timeout 300 $m verify --json --explain $dir/broken/*.o >$dir/broken.json 2>$dir/broken.err
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
