# SPDX-License-Identifier: GPL-2.0-only
# The device, the feature list, and K5: rmmod is refused while anything is open or attached.
. /t/lib.sh
check "device: /dev/modbpf is there" test -c /dev/modbpf
check_match "device: only root may open it" '^crw-------' "$(ls -l /dev/modbpf)"
check_fails "device: nobody cannot open it" su -s /bin/sh nobody -c 'exec 3<>/dev/modbpf'
f=$(modbpf features --json 2>&1)
check_match "features: lists commands" 'PROG_LOAD|prog_load' "$f"
check_match "features: lists map types" 'ringbuf' "$f"
check "features: text form" modbpf features
check_fails "device: a second insmod is refused" insmod /modbpf.ko

# Held by an open device.
sleep 100 3<>/dev/modbpf &
holder=$!
sleep 0.2
check_fails "rmmod: refused while the device is open" rmmod modbpf
kill $holder; wait $holder 2>/dev/null
# Held by an attached program only: the tool is running.
modbpf run /t/progs/execsnoop.bpf.o --seconds 3 >/tmp/run.out 2>&1 &
runner=$!
sleep 1.5
check_fails "rmmod: refused while a program is attached" rmmod modbpf
/bin/true; sh -c 'exec /bin/busybox true'
wait $runner
check_match "run: sees a process start" 'busybox|true' "$(cat /tmp/run.out)"
check "rmmod: works after the last close" rmmod modbpf
check "insmod: loads again" insmod /modbpf.ko
exit $status
