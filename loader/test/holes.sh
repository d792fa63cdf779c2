#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Programs that would do harm when they run are refused, and those beside them that are right are accepted (holes.bpf.c). BINARY=PATH:
# another build of the command.
cd "$(dirname "$0")/../.." || exit 1
m=${BINARY:-build/asan/modbpf} fails=0 dir=build/test/holes
unset MODBPF_BACKEND LD_PRELOAD
[ -n "${BINARY:-}" ] || make -s build/asan/modbpf || exit 1
for name in bpf_copy_from_user_str bpf_iter_css_task_new bpf_wq_init bpf_lsm_mmap_file bpf_get_task_exe_file; do
	grep -q "$name" /sys/kernel/btf/vmlinux 2>/dev/null && continue
	echo "ok - holes # SKIP this kernel's types have no $name"
	exit 0
done
mkdir -p $dir
clang-19 -O2 -g -target bpf -Wall -Werror -I/usr/include/x86_64-linux-gnu -c loader/test/holes.bpf.c -o $dir/holes.o || exit 1
declare -A says=(
	[bad_slice_size]="invalid access to memory, mem_size=0"
	[bad_dynptr_kept]="cannot spill pointers to what a callback is given"
	[bad_key_kept]="cannot spill pointers to what a callback is given"
	[bad_null_memory]="arg#0 is memory that may be NULL"
	[bad_stale_object]="only read is supported"
	[bad_equal_pointers]="invalid mem access 'map_value_or_null'"
	[bad_stale_count]="is neither owning or non-owning ref"
	[bad_stale_node]="node input must be non-owning ref"
	[bad_work]="only read is supported"
	[bad_timer]="helper call might sleep"
	[bad_timer_below]="helper call might sleep"
	[bad_find_vma]="helper call might sleep"
	[bad_element]="R1 must be a rcu pointer"
	[bad_element_before]="R1 must be a rcu pointer"
	[bad_lock]="bpf_spin_unlock of different lock"
	[bad_slice_passed]="is packet memory, which the function may invalidate"
	[bad_given_slice]="invalid mem access 'scalar'"
	[bad_given_write]="invalid mem access 'scalar'"
	[bad_behind_lock]="only read is supported"
	[bad_kept_pair]="only read is supported"
	[bad_section_between]="expected an RCU CS when using bpf_iter_task_next"
	[bad_circle_moves]="invalid mem access 'scalar'"
	[bad_circle_sleeps]="global functions that may sleep are not allowed inside bpf_rcu_read_lock-ed region"
	[bad_clone_slice]="invalid mem access 'scalar'"
	[bad_clone_write]="invalid mem access 'scalar'"
	[bad_clone_either]="invalid mem access 'scalar'"
	[bad_clone_or_own]="invalid mem access 'scalar'"
	[bad_clone_passed]="is packet memory, which the function may invalidate"
	[bad_given_frame]="invalid mem access 'scalar'"
	[bad_frame_passed]="is packet memory, which the function may invalidate"
	[bad_load_back]="cannot use BPF_LD_[ABS|IND] within callback"
	[bad_deep]="Too large"
	[bad_endless_calls]="jumps is too complex"
	[bad_endless_iterators]="infinite loop detected"
	[bad_endless_counts]="BPF program is too large"
	[bad_last_of_any]="invalid mem access 'scalar'"
	[bad_last_in_callback]="invalid mem access 'scalar'"
	[bad_last_in_timer]="invalid mem access 'scalar'"
	[bad_last_of_percpu]="invalid mem access 'scalar'"
	[bad_iterator_above]="cannot pass in iter at an offset=0"
	[bad_moved_percpu]="dereference of modified"
	[bad_no_node]="node input must be non-owning ref"
	[bad_pass_packet]="cannot write into packet"
	[bad_behind_object]="access beyond struct mm_struct"
	[bad_null_arm]="invalid mem access 'scalar'"
	[bad_null_file]="type=ptr_ expected"
	[bad_no_inode]="type=ptr_ expected"
	[bad_stale_field]="type=untrusted_ptr_ expected"
	[bad_circle_of_owners]="R1 has no valid kptr"
	[bad_planting]="rbtree_add not allowed in rbtree cb"
	[bad_constant_attr]="write into map forbidden"
)
for p in $(llvm-nm-19 --defined-only -f posix $dir/holes.o | awk '$2 == "T" && $1 ~ /^(ok|bad)_/ {print $1}'); do
	out=$($m verify -p "$p" $dir/holes.o 2>&1)
	got=$?
	case $p in
	ok_*) [ $got = 0 ] ;;
	*) [ $got = 1 ] && [[ "$out" == *"${says[$p]:?}"* ]] ;;
	esac && echo "ok: $p" && unset "says[$p]" && continue
	echo "FAILED: $p: status $got, or another reason than '${says[$p]:-}':"
	echo "$out" | tail -12
	fails=1
done
[ ${#says[@]} = 0 ] || { echo "FAILED: not there: ${!says[*]}"; fails=1; }
exit $fails
