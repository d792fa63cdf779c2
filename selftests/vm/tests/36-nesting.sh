# SPDX-License-Identifier: GPL-2.0-only
# Tail calls out of nested functions do not run the kernel's stack over.
. /t/lib.sh
/t/bin/nesting || status=1
exit $status
