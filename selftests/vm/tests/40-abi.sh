# SPDX-License-Identifier: GPL-2.0-only
# K1. The errno is compared where the kernel is the one whose behaviour modbpf has (6.12).
. /t/lib.sh
if kernel_is_peer; then /t/bin/abi compare; else /t/bin/abi; fi || status=1
exit $status
