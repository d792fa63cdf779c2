# SPDX-License-Identifier: GPL-2.0-only
# K1. The errno is compared where the kernel is the one whose behaviour modbpf has (6.12).
. /t/lib.sh
case $(uname -r) in
6.12.*) /t/bin/abi compare || status=1 ;;
*) /t/bin/abi || status=1 ;;
esac
exit $status
