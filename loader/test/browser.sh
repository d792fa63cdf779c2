# SPDX-License-Identifier: GPL-2.0-only
# For tests of what browsers show, which set `dir`, an absolute path, and `fails`: a page in headless Chromium, and what is in it then.
browse() { # PAGE FRAGMENT: the page's elements as the browser has them in the end
	timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
		--disable-component-update --disable-sync --disable-dev-shm-usage --user-data-dir="$dir/profile" --virtual-time-budget=3000 \
		--dump-dom "file://$dir/$1$2" 2>"$dir/browser.err" | python3 -c '
import re, sys
# without the data and the script: only what was drawn counts
print(re.sub(r"<script.*?</script>", "", sys.stdin.read(), flags=re.S))' >"$dir/dom"
}
shows() { # NAME TEXT...: each text is there, or with ! in front is not
	local name=$1 t
	shift
	for t in "$@"; do
		if [ "${t#!}" != "$t" ]; then
			grep -qF -- "${t#!}" "$dir/dom" && { echo "FAILED: $name: there is '${t#!}'"; fails=1; return; }
		elif ! grep -qF -- "$t" "$dir/dom"; then
			echo "FAILED: $name: no '$t'"
			fails=1
			return
		fi
	done
	echo "ok: $name"
}
