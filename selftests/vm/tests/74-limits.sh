# SPDX-License-Identifier: GPL-2.0-only
# K11: requests larger than memory; K12 and K13: capabilities and addresses.
. /t/lib.sh
/t/bin/limits || status=1
if dmesg | grep -qE 'page allocation failure|oom-kill|Out of memory|vmap allocation.*failed'; then
	not_ok "limits: the kernel complains" "$(dmesg | grep -E 'page allocation failure|oom-kill|Out of memory|vmap alloc' | head -5)"
else ok "limits: no complaint and nobody killed"; fi
/t/bin/caps || status=1
exit $status
