# SPDX-License-Identifier: GPL-2.0-only
# K2: descriptors of the wrong kind; K5: objects that only hold each other keep the module in.
. /t/lib.sh
! kernel_bpf || /t/bin/fds || status=1 # it crosses our descriptors with the kernel's
# Linux keeps such a ring for ever, too. Here the module stays with it, and unloads when it is broken.
/t/bin/fds cycle || status=1
check_fails "cycle: rmmod is refused while the program is attached" rmmod modbpf
/t/bin/fds uncycle || status=1
exit $status
