#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The flame graph of modbpf run --flame in a real browser: zoom and search, by the URL's fragment, by keys and by clicks.
cd "$(dirname "$0")/../.." || exit 1
fails=0 dir=$PWD/build/test/flame test=${TEST:-build/test/cli_test}
unset MODBPF_BACKEND LD_PRELOAD
[ -n "${TEST:-}" ] || make -s build/test/cli_test || exit 1
rm -rf "$dir" && mkdir -p "$dir/profile" || exit 1
MODBPF_FLAME=$dir/flame.svg "$test" --gtest_brief=1 --gtest_filter=stacks.flame >/dev/null && [ -s "$dir/flame.svg" ] || { echo "FAILED: no drawing"; exit 1; }
. loader/test/browser.sh
# A copy of the drawing with a script behind its own, as if a person did it; it says what is seen in a <desc>.
acted() {
	{ sed '/^<\/svg>$/d' "$dir/flame.svg" && cat <<'JS' && echo "$1" && echo ']]></script></svg>'; } >"$dir/acted.svg"
<script><![CDATA[
const key = k => document.dispatchEvent(new KeyboardEvent("keydown", { key: k, bubbles: true, cancelable: true }));
const seen = () => frames.filter(f => !f.g.classList.contains("hidden"));
const find = name => frames.find(f => f.name === name);
const click = name => find(name).rect.dispatchEvent(new MouseEvent("click", { bubbles: true }));
const type = text => { const s = by("search"); s.value = text; s.dispatchEvent(new Event("input", { bubbles: true })); };
const say = what => { const d = document.createElementNS("http://www.w3.org/2000/svg", "desc");
  d.textContent = `${what}: ${seen().map(f => f.name + "=" + Math.round(f.rect.getAttribute("width"))).join(" ")} [${by("matched").textContent}] ${location.hash}`;
  document.documentElement.append(d); };
JS
}
if sed 's|http://www.w3.org/[a-z0-9/]*||g' "$dir/flame.svg" | grep -qE '(src|href)=|https?:|@import|url\('; then
	echo "FAILED: the drawing refers to something outside"; fails=1; else echo "ok: the drawing stands alone"; fi
browse flame.svg ""
shows "all frames" '<title>all: 100 (100.00%)</title><rect x="0.00" y="154" width="1200.00"' '<title>idle: 15 (15.00%)</title>' \
	'class="button hidden"' '<text id="matched" x="890" y="24"/>' '!class="frame hidden"' '!class="frame found"' '!parsererror'
browse flame.svg "#zoom=7&search=^vfs_w"
shows "zoom and search by the fragment" '<g class="frame caller" data-from="5" data-count="95" data-depth="2"><title>main: 95 (95.00%)</title><rect x="0.00" y="118" width="1200.00"' \
	'<g class="frame" data-from="20" data-count="80" data-depth="3"><title>run: 80 (80.00%)</title><rect x="0.00" y="100" width="1200.00"' \
	'<g class="frame hidden" data-from="5" data-count="15" data-depth="3">' '<g class="frame found" data-from="80" data-count="20"' 'matched: 25.00%' \
	'<text id="reset" class="button"'
browse flame.svg "#zoom=999&search=("
shows "a fragment that means nothing" '<title>all: 100 (100.00%)</title><rect x="0.00" y="154" width="1200.00"' 'matched: 0.00%' '!class="frame hidden"'
acted '
say("whole"); click("read"); say("read"); click("main"); say("main"); type("read|vfs_read"); say("searched");
key("Escape"); say("escaped"); key("/"); say(document.activeElement === by("search") ? "in the search" : "nowhere");
find("idle").rect.dispatchEvent(new MouseEvent("mouseover", { bubbles: true })); say(by("told").textContent);
click("idle"); by("reset").dispatchEvent(new MouseEvent("click", { bubbles: true })); say("whole again");'
browse acted.svg ""
shows "clicks" 'whole: all=1200 &lt;b&gt;&amp;"x?=60' 'read: all=1200 sh=1200 main=1200 run=1200 read=1200 vfs_read_[k]=1200 [] #zoom=8' \
	'main: all=1200 sh=1200 main=1200 idle=189 run=1011 read=758 vfs_read_[k]=758 write=253 vfs_write_[k]=253 [] #zoom=5' 'whole again: all=1200 &lt;b&gt;'
shows "the search, which counts a stack once" 'idle=189 run=1011 read=758 vfs_read_[k]=758 write=253 vfs_write_[k]=253 [matched: 63.16%] #zoom=5&amp;search=read%7Cvfs_read'
shows "keys and the mouse" 'escaped: all=1200 &lt;b&gt;&amp;"x?=60' 'in the search: all=1200' 'idle: 15 (15.00%): all=1200'
exit $fails
