# SPDX-License-Identifier: GPL-2.0-only
# Every conformance row through the device, so through this kernel's thunks and text; 6.12's own BPF must return the same (6.1 does not
# know all of the instructions).
. /t/lib.sh
case $(uname -r) in
6.12.*) /t/bin/conformance compare || status=1 ;;
*) /t/bin/conformance || status=1 ;;
esac
exit $status
