#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# libmodbpf.so preloaded into programs that know nothing of it: everything but bpf() behaves as without it.
cd "$(dirname "$0")/../.." || exit 1
make -s build/test/transport_test build/test/libmodbpf_double.so build/modbpf || exit 1
lib=$PWD/build/test/libmodbpf_double.so t=build/test/transport_test fails=0
ok() { # NAME EXPECTED COMMAND...: output (both streams) holds EXPECTED
	local name=$1 want=$2 out
	shift 2
	out=$("$@" 2>&1)
	if [[ "$out" == *"$want"* ]]; then echo "ok: $name"; else echo "FAILED: $name: wanted '$want', got '$out'"; fails=1; fi
}
status() { # NAME STATUS COMMAND...
	local name=$1 want=$2
	shift 2
	"$@" >/dev/null 2>&1
	local got=$?
	if [ $got = "$want" ]; then echo "ok: $name"; else echo "FAILED: $name: status $got, not $want"; fails=1; fi
}
unset MODBPF_BACKEND LD_PRELOAD
ok "without the library" ok $t
ok "preloaded" ok env LD_PRELOAD="$lib" $t
ok "process back end" ok env LD_PRELOAD="$lib" MODBPF_BACKEND=process $t double
if [ ! -e /dev/modbpf ]; then
	ok "no device: ENODEV" ok env LD_PRELOAD="$lib" $t nodevice
	ok "no device: what to do" "modprobe modbpf" env LD_PRELOAD="$lib" $t nodevice
	n=$(LD_PRELOAD=$lib $t nodevice 2>&1 | grep -c "cannot open")
	[ "$n" = 1 ] && echo "ok: said once" || { echo "FAILED: the hint was given $n times"; fails=1; }
fi
ok "an unknown back end" "use device, process or kernel" env LD_PRELOAD="$lib" MODBPF_BACKEND=x $t nodevice
m=build/modbpf
status "exec true" 0 $m exec -- true
status "exec passes the status on" 7 $m exec -- sh -c 'exit 7'
status "exec of nothing there" 127 $m exec -- /nonexistent/x
status "exec without a command" 2 $m exec
status "exec with an unknown back end" 2 $m exec --backend=x -- true
ok "exec preloads" libmodbpf.so $m exec -- sh -c 'echo $LD_PRELOAD'
ok "exec keeps LD_PRELOAD" ":$lib" env LD_PRELOAD="$lib" $m exec -- sh -c 'echo $LD_PRELOAD'
ok "exec sets the back end" "process" $m exec --backend=process -- sh -c 'echo $MODBPF_BACKEND'
if [ -x /usr/bin/busybox ] && ! ldd /usr/bin/busybox >/dev/null 2>&1; then
	ok "a static program is unaffected" static $m exec -- /usr/bin/busybox echo static
fi
status "run needs events" 2 $m run --backend=process build/test/ring.bpf.o
ok "run says so" "attaches nothing" $m run --backend=process build/test/ring.bpf.o
status "run without a file" 2 $m run
ok "run of a broken file" "not ELF" $m run loader/test/transport.sh
ok "run with bad seconds" "positive number" $m run --seconds=x y.o
if [ ! -e /dev/modbpf ]; then
	make -s build/test/ring.bpf.o
	status "run without the module" 2 $m run build/test/ring.bpf.o
	ok "run without the module says what to do" "modprobe modbpf" $m run build/test/ring.bpf.o
	n=$($m run build/test/ring.bpf.o 2>&1 | wc -l)
	[ "$n" = 1 ] && echo "ok: in one line" || { echo "FAILED: $n lines where one says it"; fails=1; }
	status "verify on the device without the module" 2 $m verify --backend=device build/test/ring.bpf.o
fi
status "features" 0 $m features --backend=process
ok "features --json" '"helpers"' $m features --json --backend=process
# Programs with threads, children and much input and output.
ok "a pipeline" "$(seq 1 20000 | sort -R --random-source=/etc/passwd | md5sum)" \
	$m exec --backend=process -- sh -c 'seq 1 20000 | sort -R --random-source=/etc/passwd --parallel=2 | md5sum'
exported=$(nm -D --defined-only build/libmodbpf.so | awk '{print $3}' | sort | tr '\n' ' ')
ok "exports nothing else" "epoll_pwait epoll_wait ioctl mmap mmap64 modbpf_features modbpf_select_backend modbpf_watch mount munmap poll syscall unlink unlinkat " echo "$exported"
needed=$(readelf -d build/libmodbpf.so | grep -c NEEDED)
[ "$needed" -le 2 ] && echo "ok: needs libc alone" || { echo "FAILED: $needed libraries needed"; fails=1; }
exit $fails
