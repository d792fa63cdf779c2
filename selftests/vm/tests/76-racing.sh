# SPDX-License-Identifier: GPL-2.0-only
# K3: user memory that changes during every command.
. /t/lib.sh
/t/bin/racing 15 || status=1
exit $status
