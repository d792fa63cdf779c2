# SPDX-License-Identifier: GPL-2.0-only
# Hundreds of truncated and mutated object files, loaded and run on the device: a verdict for each, no crash, nothing lost.
. /t/lib.sh
held() { modbpf exec -- bpftool "$1" list 2>/dev/null | grep -v 'name \[vmlinux\]' | grep -cE '^[0-9]+:'; }
mkdir -p /tmp/broken
once() { # SEED COUNT
	rm -f /tmp/broken/*
	/t/bin/mutate "$src" /tmp/broken "$2" "$1"
	modbpf verify --backend=device --json /tmp/broken/*.o >/tmp/broken.json 2>/tmp/broken.err
}
src=/t/bin/events.bpf.o
once 1 20; settle; mark
judged=0 accepted=0 refused=0 unreadable=0 crashed=0
for seed in 11 12; do
	for src in /t/bin/quiet.bpf.o /t/progs/licence.bpf.o /t/progs/readlat.bpf.o; do
		once $seed 40; rc=$?
		[ $rc -le 2 ] || not_ok "broken: seed $seed of $src: status $rc" "$(cat /tmp/broken.err)"
		judged=$((judged + $(ls /tmp/broken | wc -l)))
		accepted=$((accepted + $(grep -c '"verdict": "accepted"' /tmp/broken.json)))
		refused=$((refused + $(grep -cE '"verdict": "(refused|not_loaded)"' /tmp/broken.json)))
		unreadable=$((unreadable + $(grep -c '"verdict": "unreadable"' /tmp/broken.json)))
		crashed=$((crashed + $(grep -c 'process that read it crashed' /tmp/broken.json)))
		for f in /tmp/broken/*.o; do
			grep -qF "\"$f\"" /tmp/broken.json || not_ok "broken: no answer for $f of $src, seed $seed"
		done
	done
done
if [ $accepted -gt 50 ] && [ $refused -gt 50 ] && [ $unreadable -gt 50 ] && [ $crashed -eq 0 ]; then
	ok "broken: verdicts on $judged files: $accepted programs accepted, $refused refused; $unreadable files unreadable"
else
	not_ok "broken: $accepted accepted, $refused refused, $unreadable unreadable, $crashed crashed"
fi
# The same through `modbpf run`: attached where it can be, an error line of our own where not.
/t/bin/mutate /t/bin/quiet.bpf.o /tmp/broken 40 21
ran=0 failed=0 silent=0
for f in /tmp/broken/00[0-3]?.o; do
	timeout 20 modbpf run --seconds 0.01 "$f" >/tmp/run.out 2>&1; rc=$?
	case $rc in
	0) ran=$((ran + 1)) ;;
	1) failed=$((failed + 1)); grep -q '^modbpf: ' /tmp/run.out || silent=$((silent + 1)) ;;
	*) not_ok "broken: modbpf run $f: status $rc" "$(tail -n 5 /tmp/run.out)" ;;
	esac
done
if [ $ran -gt 0 ] && [ $failed -gt 10 ] && [ $silent -eq 0 ]; then ok "broken: modbpf run: $ran ran, $failed failed with a message"; else
	not_ok "broken: modbpf run: $ran ran, $failed failed, $silent of them without a message"; fi
for what in prog map link btf; do
	n=$(held $what)
	if [ "$n" -eq 0 ]; then ok "broken: no $what left"; else not_ok "broken: $n of $what left" "$(modbpf exec -- bpftool $what list)"; fi
done
settle; compare broken
exit $status
