# SPDX-License-Identifier: GPL-2.0-only
# Debian's bpftool, unmodified, lists what modbpf holds.
. /t/lib.sh
modbpf run /t/progs/syscount.bpf.o >/tmp/run.out 2>&1 &
runner=$!
sleep 2
progs=$(modbpf exec -- bpftool prog list 2>&1)
check_match "bpftool: prog list" 'raw_tracepoint +name ' "$progs"
check_match "bpftool: prog list says GPL and tag" 'tag [0-9a-f]{16} +gpl' "$progs"
id=$(printf '%s\n' "$progs" | sed -n 's/^\([0-9]*\): raw_tracepoint.*/\1/p' | head -1)
check_match "bpftool: xlated dump" 'exit' "$(modbpf exec -- bpftool prog dump xlated id "$id" 2>&1)"
maps=$(modbpf exec -- bpftool map list 2>&1)
check_match "bpftool: map list" 'percpu_hash' "$maps"
mid=$(printf '%s\n' "$maps" | sed -n 's/^\([0-9]*\): percpu_hash.*/\1/p' | head -1)
check_match "bpftool: map dump" 'key|cpu|value' "$(modbpf exec -- bpftool map dump id "$mid" 2>&1 | head -5)"
check_match "bpftool: link list" 'raw_tracepoint' "$(modbpf exec -- bpftool link list 2>&1)"
check_match "bpftool: btf list" 'name|size' "$(modbpf exec -- bpftool btf list 2>&1)"
json=$(modbpf exec -- bpftool -j prog list 2>&1)
check_match "bpftool: JSON" '^\[\{' "$json"
kill -INT $runner; wait $runner
check_match "run: counts system calls" '[0-9]' "$(tail -5 /tmp/run.out)"
modbpf exec -- bpftool map create /sys/fs/bpf/x type hash key 4 value 8 entries 16 name m 2>/tmp/pin.err
check_match "bpftool: pinning is refused with an error" 'Error' "$(cat /tmp/pin.err)"
exit $status
