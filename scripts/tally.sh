# SPDX-License-Identifier: GPL-2.0-only
# Sourced by scripts/check and scripts/test: runs stages, shows what fails, counts TAP lines and GoogleTest results.
#
# stage NAME COMMAND...   A stage whose command fails without naming a failed test counts as one failure; a stage that
# runs no test counts as one failure too, unless declared by `step`, which counts as one test itself.
# beside NAME COMMAND...  The same, beside other such stages, one a processor; `finish` waits for all of them.
passed=0 failed=0 skipped=0
declare -A failed_in splats # by stage
mkdir -p build/log
count() { grep -acE "$1" "$2" || true; }
log_of() { echo "build/log/$(tr ' /' '__' <<<"$1").log"; }
# execute NAME COMMAND...: runs it; leaves what it printed in the log, its status and its seconds beside that.
execute() {
	local log rc=0 t0=$SECONDS
	log=$(log_of "$1"); shift
	"$@" >"$log" 2>&1 </dev/null || rc=$?
	echo "$rc $((SECONDS - t0))" >"$log.end"
}
# splat_of LOG: where a guest's kernel broke off, in few lines: the script that ran, the report's heads, and the frames' names.
SPLAT='BUG: |Oops|general protection|int3: |invalid opcode|double fault|stack segment|kernel BUG|Kernel panic'
splat_of() {
	grep -qaE "^\[ *[0-9.]+\] +($SPLAT)" "$1" || return 0
	awk -v splat="$SPLAT" '
		/^# script / {script = $3; last = ""}
		/^(not )?ok / {last = $0}
		{line = $0; sub(/^\[ *[0-9.]+\] +/, "", line)}
		!seen && line ~ "^(" splat ")" {seen = 1; print "the kernel broke off in " script ", behind: " last}
		seen && line ~ "^(" splat "|RIP: |CPU: )" {print "  " line}
		seen && line ~ /^(\? )?[A-Za-z_][A-Za-z0-9_.]*\+0x[0-9a-f]+\/0x[0-9a-f]+/ {frames = frames "  " line}
		END {print " " frames}' "$1" | cut -c1-1200 | head -24 | sed 's/^/    /'
}
# conclude NAME: counts what `execute` left.
conclude() {
	local log rc seconds ok bad skip g
	log=$(log_of "$1")
	read -r rc seconds <"$log.end"
	rm "$log.end"
	skip=$(count '^ok[ :].*# SKIP' "$log")
	ok=$(($(count '^ok[ :]' "$log") - skip))
	bad=$(count '^(not ok[ :]|FAILED: )' "$log")
	g=$(grep -aoE '^\[  PASSED  \] [0-9]+ test' "$log" | awk '{n += $4} END {print n + 0}')
	ok=$((ok + g))
	g=$(grep -aoE '^ ?[0-9]+ FAILED TESTS?' "$log" | awk '{n += $1} END {print n + 0}')
	bad=$((bad + g))
	[ "$rc" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
	[ "$rc" -eq 0 ] && [ $((ok + bad)) -eq 0 ] && bad=1 && echo "no test ran" >>"$log"
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip)) failed_in[$1]=$bad
	if [ "$bad" -eq 0 ]; then
		echo "$ok passed$([ "$skip" -gt 0 ] && echo ", $skip skipped") ($seconds s)"
	else
		echo "$ok passed, $bad FAILED ($seconds s), log: $log"
		splats[$1]=$(splat_of "$log")
		{ grep -aE -B1 -A12 '^not ok[ :]|^FAILED: |\[  FAILED  \]|error:|Error [0-9]|gate: |ERROR: ' "$log" || tail -30 "$log"; } | head -60 | sed 's/^/    /'
	fi
}
stage() {
	printf '%-44s ' "$1"
	execute "$@"
	conclude "$1"
}
# Stages that run beside each other are told when they end, in whatever order that is.
running=()
beside() {
	while [ ${#running[@]} -ge "$(nproc)" ]; do next_end; done
	rm -f "$(log_of "$1").end"
	execute "$@" &
	running+=("$1")
}
told() {
	local name still=()
	for name in "${running[@]}"; do
		if [ ! -s "$(log_of "$name").end" ]; then still+=("$name"); continue; fi
		printf '%-44s ' "$name"
		conclude "$name"
	done
	running=("${still[@]}")
}
# Waits until one of them ends. Where none runs any more and one has left nothing, it was killed, which is a failure.
next_end() {
	local rc=0 name
	wait -n || rc=$?
	for name in "${running[@]}"; do
		[ $rc -ne 127 ] || [ -s "$(log_of "$name").end" ] || echo "137 0" >"$(log_of "$name").end"
	done
	told
}
finish() { while [ ${#running[@]} -gt 0 ]; do next_end; done; }
# suite NAME COMMAND... SERIES: a run of the VM suite, beside others. A check of a value that fails there may have met a held-up machine
# (the guests are emulated, and much in them waits for clocks): `suites_again`, when all have ended, runs its script once more, in a
# fresh VM, and what passes then is told in the verdict as unsteady. What a sound module never causes gets no second try: anything in
# the kernel log, a leak, a module that does not unload, a guest that dies.
unsteady=()
declare -A suite_command
AGAIN_AT_MOST=3
suite() {
	suite_command[$1]=$(printf '%q ' "${@:2}")
	beside "$@"
}
suites_again() {
	local name log again bad passed_first skipped_first command
	for name in "${!suite_command[@]}"; do
		bad=${failed_in[$name]}
		[ "$bad" -gt 0 ] || continue
		log=$(log_of "$name")
		again=$(awk '/^# script /{s = $3} /^not ok/{print s}' "$log" | sort -u)
		if grep -qaE '^not ok.*(kernel log|rmmod|insmod|leak)|^FAILED: |^vm: the guest did not finish' "$log" ||
			[ -z "$again" ] || [ "$(wc -l <<<"$again")" -gt "$AGAIN_AT_MOST" ]; then continue; fi
		passed_first=$passed skipped_first=$skipped
		eval "command=(${suite_command[$name]})"
		stage "$name, again" "${command[@]:0:${#command[@]}-1}" --tests "$(paste -sd, <<<"$again")" "${command[-1]}"
		if [ "${failed_in["$name, again"]}" -eq 0 ]; then
			unsteady+=("$bad in $(paste -sd' ' <<<"$again"), $name (log: $log)")
			passed=$((passed_first + bad)) failed=$((failed - bad))
		else
			passed=$passed_first failed=$((failed - ${failed_in["$name, again"]}))
		fi
		skipped=$skipped_first
	done
}
# A command that is one test by itself.
step() {
	local name=$1; shift
	stage "$name" bash -c '"$@" && echo "ok - $0"' "$name" "$@"
}
verdict() {
	local name
	echo
	for name in "${!splats[@]}"; do [ -z "${splats[$name]}" ] || printf '%s: %s\n' "$name" "${splats[$name]}"; done
	if [ "$failed" -ne 0 ]; then echo "FAILED: the lines above name the stages and their logs"; fi
	for u in "${unsteady[@]}"; do echo "UNSTEADY, passed at the second try: $u"; done
	echo "$passed passed, $failed failed$([ "$skipped" -gt 0 ] && echo ", $skipped skipped")"
	[ "$failed" -eq 0 ]
}
