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
# A stage of the VM suite. A check of a value that fails there may have met a held-up machine (the guests are emulated, and much in
# them waits for clocks): its script is run once more, in a fresh VM, and what passes then is told in the verdict as unsteady. What a
# sound module never causes gets no second try: anything in the kernel log, a leak, a module that does not unload, a guest that dies.
unsteady=()
AGAIN_AT_MOST=3
vm_stage() {
	local name=$1 log again failed_before=$failed; shift
	log=build/log/$(tr ' /' '__' <<<"$name").log
	stage "$name" "$@"
	[ "$failed" -gt "$failed_before" ] || return 0
	again=$(awk '/^# script /{s = $3} /^not ok/{print s}' "$log" | sort -u)
	if grep -qaE '^not ok.*(kernel log|rmmod|insmod|leak)|^FAILED: |^vm: the guest did not finish' "$log" ||
		[ -z "$again" ] || [ "$(wc -l <<<"$again")" -gt "$AGAIN_AT_MOST" ]; then return 0; fi
	local failed_first=$failed passed_first=$passed skipped_first=$skipped
	stage "$name, again" "${@:1:$#-1}" --tests "$(paste -sd, <<<"$again")" "${@: -1}"
	if [ "$failed" -eq "$failed_first" ]; then
		unsteady+=("$((failed_first - failed_before)) in $(paste -sd' ' <<<"$again"), $name (log: $log)")
		passed=$((passed_first + failed_first - failed_before)) failed=$failed_before
	else
		passed=$passed_first failed=$failed_first
	fi
	skipped=$skipped_first
}
# A command that is one test by itself.
step() {
	local name=$1; shift
	stage "$name" bash -c '"$@" && echo "ok - $0"' "$name" "$@"
}
verdict() {
	echo
	if [ "$failed" -ne 0 ]; then echo "FAILED: the lines above name the stages and their logs"; fi
	for u in "${unsteady[@]}"; do echo "UNSTEADY, passed at the second try: $u"; done
	echo "$passed passed, $failed failed$([ "$skipped" -gt 0 ] && echo ", $skipped skipped")"
	[ "$failed" -eq 0 ]
}
