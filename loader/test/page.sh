#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The page of modbpf verify --html in a real browser: what is shown at the places that the URL's fragment names, after keys and
# after clicks. BINARY=PATH: another build of the command.
cd "$(dirname "$0")/../.." || exit 1
m=${BINARY:-build/modbpf} fails=0 dir=$PWD/build/test/page
unset MODBPF_BACKEND LD_PRELOAD
[ -n "${BINARY:-}" ] || make -s build/modbpf || exit 1
rm -rf "$dir" && mkdir -p "$dir/profile" || exit 1
for p in sample refused; do
	clang-19 -O2 -g -target bpf -I/usr/include/x86_64-linux-gnu -c loader/test/$p.bpf.c -o "$dir/$p.o" || exit 1
done
$m verify --html="$dir/page.html" "$dir/sample.o" "$dir/refused.o" >/dev/null
[ $? = 1 ] && [ -s "$dir/page.html" ] || { echo "FAILED: no page"; exit 1; }

. loader/test/browser.sh
# A copy of the page with a script behind its own, as if a person did it.
acted() { { cat "$dir/page.html" && echo "<script>$1</script>"; } >"$dir/acted.html"; }

if grep -qE '(src|href)=|https?:|@import|url\(' <(sed '/id="data"/d' "$dir/page.html"); then echo "FAILED: the page refers to something outside"; fails=1; else
	echo "ok: the page stands alone"
fi
browse page.html ""
shows "the first program" '<span id="verdict" class="accepted">accepted</span>' 'step 1 of 24, in front of <code>0: (18) r1 = 0x' \
	'<tr id="cell-0-R1"><td>R1</td><td>ctx()<span class="meaning">the context</span></td></tr>' '<div class="insn on-path current" id="insn-0">' \
	'bpf_ringbuf_reserve(&amp;events, sizeof(*e), 0);' 'from 6 to 24, 1 step: <span>covered by an explored state</span>'
browse page.html "#program=4&path=0&step=9"
shows "a step inside of a call" 'refused: Permission denied (EACCES)' '<strong class="bad">R0 may be NULL here</strong>' 'what to change' \
	'step 10 of 14, in front of <code>16: (95) exit' '<div class="insn on-path current" id="insn-16">' '<div class="insn blamed on-path" id="insn-7">' \
	'Frame 0: waits for a call' 'Frame 1: running' '<tr id="cell-1-R0" class="changed"><td>R0</td><td>map_value_or_null(' \
	'<tr id="cell-1-fp-8"><td>fp-8</td><td>mmmm????<span class="meaning">data; never written: bytes -8 to -5</span></td></tr>' '!<div class="insn on-path current" id="insn-0">'
# A person with keyboard and mouse.
acted '
const key = k => document.dispatchEvent(new KeyboardEvent("keydown", { key: k, bubbles: true }));
const click = q => document.querySelector(q).click();
const choose = n => { const s = document.getElementById("program"); s.value = n; s.dispatchEvent(new Event("change")); };
const say = what => document.body.append(make("pre", "", `${what}: ${by("where").textContent} [${by("explanation").textContent.slice(0, 30)}]`));
const slide = n => { by("slider").value = n; by("slider").dispatchEvent(new Event("input")); };
key("ArrowRight"); key("ArrowRight"); say("two to the right");
key("ArrowDown"); say("next path");
key("ArrowRight"); key("ArrowRight"); say("its end");
key("ArrowUp"); key("Home"); say("home"); key("End"); say("end"); key("ArrowLeft"); say("left");
slide(4); say("slider"); click("#next"); say("button");
click("#insn-24"); say("instruction"); click("#paths li:nth-child(2) button"); click("#insn-24"); say("on the other path");
choose(2); say("refused"); click("#explanation li button"); say("cause");
choose(5); say("wild_index");'
browse acted.html "#program=0&path=0&step=0"
shows "keys" 'two to the right: Path 1, step 3 of 24, in front of 3: ' 'next path: Path 2, step 7 of 7, in front of 24: ' \
	'its end: Path 2, step 7 of 7, in front of 24: (b7) r0 = 0: covered by an explored state' 'home: Path 1, step 1 of 24' 'end: Path 1, step 24 of 24' 'left: Path 1, step 23 of 24'
shows "clicks" 'slider: Path 1, step 5 of 24' 'button: Path 1, step 6 of 24' 'instruction: Path 1, step 23 of 24, in front of 24: ' \
	'on the other path: Path 2, step 7 of 7, in front of 24: '
shows "the choice of a program, and from its explanation to the cause" 'refused: Path 1, step 7 of 7, in front of 7: (79) r0 = *(u64 *)(r0 +0): refused [R0 may be NULL here' \
	'cause: Path 1, step 6 of 7, in front of 6: (85) call bpf_map_lookup_elem#1' 'wild_index: Path 1, step 12 of 12' '[8 bytes at offset 64 lie outs' 'class="caret">	^~~~~~~~~~~~~~</span>'
# More than the page shows: it says so where it breaks off.
cat >"$dir/long.bpf.c" <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
SEC("xdp") int turns(struct xdp_md *ctx)
{
	asm volatile("r6 = 11000\n1:\n\tr6 += -1\n\tif r6 != 0 goto 1b" : : : "r6");
	return 0;
}
C
clang-19 -O2 -g -target bpf -I/usr/include/x86_64-linux-gnu -c "$dir/long.bpf.c" -o "$dir/long.o" || exit 1
$m verify --html="$dir/long.html" "$dir/long.o" >/dev/null || { $m verify "$dir/long.o"; fails=1; }
browse long.html "#path=0&step=15999"
shows "a long exploration" ', 16000 shown' 'step 16000 of 16000' 'goes on, which is not shown'
# What looks like markup in a file's text stays text.
cat >"$dir/hostile.bpf.c" <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
SEC("xdp") int hostile(struct xdp_md *ctx) { return /* </script><img id="planted"> <!--<script> */ ((int *)ctx)[9]; }
C
clang-19 -O2 -g -target bpf -I/usr/include/x86_64-linux-gnu -c "$dir/hostile.bpf.c" -o "$dir/hostile.o" || exit 1
$m verify --html="$dir/hostile.html" "$dir/hostile.o" >/dev/null
browse hostile.html "#program=99&path=-3&step=zzz"
shows "markup in the source; a fragment that means nothing" 'Path 1, step 1 of 1' '&lt;img id="planted"&gt;' '!<img id="planted">' '<strong class="bad">the context has nothing'
exit $fails
