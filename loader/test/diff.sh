#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# modbpf diff: verdicts, messages, numbers and test runs of both sides, exit status. Where this machine's bpf() is not to be had,
# what it says then. BINARY=PATH: another build of the command.
cd "$(dirname "$0")/../.." || exit 1
m=${BINARY:-build/modbpf} fails=0 dir=build/test/diff
unset MODBPF_BACKEND LD_PRELOAD
[ -n "${BINARY:-}" ] || make -s build/modbpf || exit 1
mkdir -p $dir || exit 1
for p in sample refused differs; do
	clang-19 -O2 -g -target bpf -I/usr/include/x86_64-linux-gnu -c loader/test/$p.bpf.c -o $dir/$p.o || exit 1
done
ok() { # NAME EXPECTED-STATUS EXPECTED-PATTERN COMMAND...
	local name=$1 want=$2 pattern=$3 out got
	shift 3
	out=$("$@" 2>&1)
	got=$?
	if [ $got = "$want" ] && grep -qE -- "$pattern" <<<"$out"; then echo "ok: $name"; else
		echo "FAILED: $name: status $got, not $want, or no '$pattern' in:"
		echo "$out" | head -40
		fails=1
	fi
}
ok "help" 0 "Exit status" $m diff --help
ok "no argument" 2 "modbpf diff prog.o" $m diff
ok "bad option" 2 "" $m diff --nonsense $dir/sample.o
ok "bad number" 2 "takes 1 to 1000" $m diff --times=0 $dir/sample.o
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	pub=$(mktemp -d) && chmod 755 "$pub" && cp $m "$(dirname $m)/libmodbpf.so" $dir/sample.o "$pub/" 2>/dev/null
	ok "without privileges" 2 "cannot be used for comparison: .*run as root|cannot be used for comparison: Function not" setpriv --reuid=65534 --regid=65534 \
		--clear-groups --bounding-set=-all --inh-caps=-all "$pub/$(basename $m)" diff "$pub/sample.o"
	rm -rf "$pub"
fi
if $m diff $dir/sample.o 2>&1 | grep -q "cannot be used for comparison"; then
	echo "ok: the two sides # SKIP this machine's bpf() is not to be had"
	exit $fails
fi
ok "verdicts agree" 0 "4 programs: 4 verdicts agree, 0 differ; of 3 accepted by both" $m diff $dir/sample.o
ok "numbers of both sides" 0 "pass +accepted +accepted +2 +2 +0 +0 +[0-9]+ +[0-9]+ +16 +16 +[0-9]+ +[0-9]+ +2 +2$" $m diff $dir/sample.o
ok "a message of both" 0 "both: Permission denied \(EACCES\): R0 invalid mem access 'map_value_or_null'" $m diff $dir/sample.o
ok "the last message, not a state behind it" 0 "(both|modbpf): Invalid argument \(EINVAL\): infinite loop detected at insn 3" $m diff -p endless $dir/refused.o
ok "a verdict that differs" 1 "! +below_context +accepted +refused" $m diff $dir/differs.o
ok "its message" 1 "modbpf: Permission denied \(EACCES\): invalid bpf_context access off=-24 size=4" $m diff $dir/differs.o
ok "one program" 0 "^1 program: 1 verdict agrees, 0 differ" $m diff --program=same --times=3 $dir/differs.o
ok "no test run" 0 "same +accepted .* - +-$" $m diff --no-run --program=same $dir/differs.o
ok "several files" 1 "16 programs: 15 verdicts agree, 1 differs" $m diff $dir/sample.o $dir/refused.o $dir/differs.o
ok "no such program" 2 "no program of that name" $m diff -p nothing $dir/sample.o
ok "not an object" 2 "compile with" $m diff loader/test/diff.sh
ok "json" 0 "^below_context True accepted refused 13 None / same False accepted accepted None 2$" sh -c '"$@" | python3 -c "
import json, sys
print(\" / \".join(\" \".join(str(x) for x in (r[\"program\"], r[\"verdict_differs\"], r[\"kernel\"][\"verdict\"], r[\"modbpf\"][\"verdict\"],
	r[\"modbpf\"].get(\"errno\"), r[\"modbpf\"].get(\"run\", {}).get(\"retval\"))) for r in json.load(sys.stdin)))"' - $m diff --json $dir/differs.o
exit $fails
