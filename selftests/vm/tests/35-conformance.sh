# SPDX-License-Identifier: GPL-2.0-only
# Every conformance row through the device, so through this kernel's thunks and text; 6.12's own BPF must return the same (6.1 does not
# know all of the instructions).
. /t/lib.sh
if kernel_is_peer; then /t/bin/conformance compare; else /t/bin/conformance; fi || status=1
exit $status
