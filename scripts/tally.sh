# SPDX-License-Identifier: GPL-2.0-only
# Sourced by scripts/check and scripts/test: runs stages, shows what fails, counts TAP lines and GoogleTest results.
#
# stage NAME COMMAND...   A stage whose command fails without naming a failed test counts as one failure; a stage that
# runs no test counts as one failure too, unless declared by `step`, which counts as one test itself.
passed=0 failed=0 skipped=0
mkdir -p build/log
count() { grep -acE "$1" "$2" || true; }
stage() {
	local name=$1 log; shift
	log=build/log/$(tr ' /' '__' <<<"$name").log
	printf '%-44s ' "$name"
	local t0=$SECONDS rc=0
	"$@" >"$log" 2>&1 </dev/null || rc=$?
	local ok bad skip g
	skip=$(count '^ok[ :].*# SKIP' "$log")
	ok=$(($(count '^ok[ :]' "$log") - skip))
	bad=$(count '^(not ok[ :]|FAILED: )' "$log")
	g=$(grep -aoE '^\[  PASSED  \] [0-9]+ test' "$log" | awk '{n += $4} END {print n + 0}')
	ok=$((ok + g))
	g=$(grep -aoE '^ ?[0-9]+ FAILED TESTS?' "$log" | awk '{n += $1} END {print n + 0}')
	bad=$((bad + g))
	[ $rc -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
	[ $rc -eq 0 ] && [ $((ok + bad)) -eq 0 ] && bad=1 && echo "no test ran" >>"$log"
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
	if [ "$bad" -eq 0 ]; then
		echo "$ok passed$([ "$skip" -gt 0 ] && echo ", $skip skipped") ($((SECONDS - t0)) s)"
	else
		echo "$ok passed, $bad FAILED ($((SECONDS - t0)) s), log: $log"
		{ grep -aE -B1 -A12 '^not ok[ :]|^FAILED: |\[  FAILED  \]|error:|Error [0-9]|gate: |ERROR: ' "$log" || tail -30 "$log"; } | head -60 | sed 's/^/    /'
	fi
}
# A command that is one test by itself.
step() {
	local name=$1; shift
	stage "$name" bash -c '"$@" && echo "ok - $0"' "$name" "$@"
}
verdict() {
	echo
	if [ "$failed" -ne 0 ]; then echo "FAILED: the lines above name the stages and their logs"; fi
	echo "$passed passed, $failed failed$([ "$skipped" -gt 0 ] && echo ", $skipped skipped")"
	[ "$failed" -eq 0 ]
}
