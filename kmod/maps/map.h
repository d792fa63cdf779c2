// SPDX-License-Identifier: GPL-2.0-only
// map: the object behind a map fd, and map_ops, what each map type supplies.
//
// Terms: "program side" operations run inside a BPF program: any context, preemption off, inside RCU, never sleep, never
// allocate, locks only by trylock (-EBUSY). "User side" operations serve bpf() commands in task context; values there
// have the user's layout (user_value_size(): for per-CPU maps all possible CPUs, each value rounded up to 8 bytes).
//
// Ownership: a map is reference-counted. `refs` are all references; `user_refs` those of fds (and of a live mapping): when
// the last of them goes, ops->user_gone runs (PROG_ARRAY and PERF_EVENT_ARRAY drop their elements, which breaks
// reference cycles). dispose() waits a grace period, then calls ops->free in task context. PERF_EVENT_ARRAY keeps its
// elements until it is freed when it has BPF_F_PRESERVE_ELEMS; without, they go with the last fd of the map.
//
// User side operations take RCU and locks by themselves and may sleep: call them outside RCU sections.
//
// One file a map type, each ending with its `constinit const map_ops`; all of them stand in maps/registry.cpp.
#pragma once

#include "base/bpf.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/span.h"
#include "maps/lookup.h"

namespace modbpf {

class btf;
struct field_table;

/// MAP_CREATE's parameters after the command has checked what is common to all types.
struct map_params {
    u32 type;
    u32 key_size;
    u32 value_size;
    u32 max_entries;
    u32 flags;     ///< BPF_F_* of MAP_CREATE
    u32 numa_node; ///< meaningful with BPF_F_NUMA_NODE
    u64 extra;     ///< map_extra
    char name[obj_name_len];
    bool typed = false;         ///< key and value have BTF types
    u32 vmlinux_value_type = 0; ///< STRUCT_OPS: BTF id of the value in the kernel's types
    const btf *module_types = nullptr; ///< STRUCT_OPS: in these, a module's, which stay; null: the kernel's own
};

struct map;

/// What map_ops::for_each calls for an element: other than 0 ends the walk. The element may be removed meanwhile, also by the call itself.
using element_fn = u64 (*)(void *priv, map *m, const void *key, void *value);

/// A place in a walk over a map's elements that goes on from one system call to the next. Zeros: the beginning.
struct map_cursor {
    u32 bucket = 0; ///< arrays: the index
    u32 skip = 0;   ///< elements of the bucket that are behind us
    u32 next = 0;   ///< hash maps: the element that follows, while the walk goes on
};
struct map_element {
    const void *key = nullptr; ///< arrays: `number`
    void *value = nullptr;     ///< of per-CPU maps null
    u32 number = 0;            ///< of the element in its map
};

/// Null members mean that the operation does not exist for the type; the command layer then answers as Linux does.
/// Long results are 0 (or a documented value) or -errno.
struct map_ops {
    u32 type;
    const char *name; ///< as bpftool prints it: "hash", "percpu_array"
    bool verify_only; ///< programs that use it can be verified, not run; the map holds nothing

    /// EINVAL/E2BIG/... for parameters that Linux refuses for this type. Null pointer not allowed.
    status (*check)(const map_params &p);
    /// A new map with one reference. Task context.
    result<map *> (*create)(const map_params &p);
    /// Nobody can reach the map any more. Task context.
    void (*free)(map *m);
    /// The last user reference is gone. Task context.
    void (*user_gone)(map *m);

    // Program side. lookup returns the address of this CPU's value, or null.
    void *(*lookup)(map *m, const void *key);
    map_lookup (*describe)(const map *m); ///< what lookup, or a tail call, does, for code that does it itself
    void *(*lookup_percpu)(map *m, const void *key, u32 cpu); ///< that CPU's value; per-CPU types
    long (*update)(map *m, const void *key, const void *value, u64 flags);
    long (*remove)(map *m, const void *key);
    long (*push)(map *m, const void *value, u64 flags);
    long (*pop)(map *m, void *value);
    long (*peek)(map *m, void *value);
    /// Calls fn for each element, with this CPU's value. -> how many calls there were.
    long (*for_each)(map *m, element_fn fn, void *priv);

    // User side: key and value are kernel copies of key_size and user_value_size() bytes.
    long (*lookup_user)(map *m, const void *key, void *value, u64 flags);
    bool lookup_reads_value; ///< `value` goes in, not out: is it in the set?
    long (*update_user)(map *m, const void *key, const void *value, u64 flags);
    long (*remove_user)(map *m, const void *key);
    /// key null: the first key. -ENOENT behind the last one.
    long (*next_key)(map *m, const void *key, void *next);
    long (*lookup_and_delete_user)(map *m, const void *key, void *value, u64 flags);
    bool batch;        ///< MAP_LOOKUP_BATCH and MAP_UPDATE_BATCH are there, built on the operations above
    bool batch_delete; ///< and MAP_DELETE_BATCH; MAP_LOOKUP_AND_DELETE_BATCH where there is lookup_batch, too
    /// Hash maps' batch look-ups walk buckets, with a u32 bucket number as the batch token, as Linux does: up to
    /// *count elements from bucket *bucket are copied and *bucket moves to the first one not copied; 0 when the next
    /// bucket does not fit behind others; -ENOSPC when not even one bucket fits; -ENOENT at the end. *count is what was
    /// copied in every case. keys and values are kernel memory for *count elements.
    long (*lookup_batch)(map *m, u32 *bucket, void *keys, void *values, u32 *count, bool remove, u64 elem_flags);

    // Special fields (btf/fields.h): types whose values may have some that own something.
    /// The key of a value that lies in the map; the caller gives room for an index. Any context.
    const void *(*key_of)(map *m, void *value, u32 *index);
    /// Calls fn for each piece of memory that is or was a value. Task context.
    void (*each_value)(map *m, void (*fn)(map *m, void *value));

    // Iterators: types whose elements a program can be shown one by one. Task context; an element may go meanwhile, its memory stays.
    /// The element at the cursor; next: the one behind it, where the call before found an element. False: no more.
    bool (*walk)(map *m, map_cursor *c, bool next, map_element *out);
    /// Its value in the user's layout, as a look-up gives it.
    void (*copy_element)(map *m, const map_element *e, void *value);

    // Files.
    int (*mmap)(map *m, port_vma *vma);
    port_arena *(*arena)(map *m); ///< and what port_file_ops says of these three
    int (*place)(map *m, u64 addr, size_t size, u64 offset);
    int (*fault)(map *m, port_fault *f, u64 addr);
    unsigned int (*poll)(map *m, port_poll *poll);

    /// Address of byte `off` of the value area, for direct loads (ld_imm64 with PSEUDO_MAP_VALUE); -ENOTSUPP where null.
    result<u64> (*value_address)(map *m, u32 off);
    /// Bytes of kernel memory that the map holds (fdinfo's memlock).
    u64 (*memory)(const map *m);
};

/// Which programs a PROG_ARRAY takes: the first program that is put in or that uses the map decides. Kept by prog/.
struct map_owner {
    bool set = false;
    bool jited = false;
    bool xdp_has_frags = false;
    u32 prog_type = 0;
    u32 expected_attach_type = 0;
    bool sleepable = false;
    u64 hook_types = 0;       ///< serial of the types that describe where it is attached; 0: nothing does
    const void *proto = nullptr; ///< and the prototype in there
    u32 hook = 0;             ///< and the function or tracepoint itself, where its name tells more than its prototype
    bool operator==(const map_owner &) const = default;
};

struct map : refcounted<map> {
    /// BPF_F_RDONLY and BPF_F_WRONLY belong to the fd that MAP_CREATE returns, not to the map.
    map(const map_ops *o, const map_params &p) : ops(o), params(p) { params.flags &= ~(BPF_F_RDONLY | BPF_F_WRONLY); }

    const map_ops *ops;
    map_params params;
    u32 id = 0;               ///< in the map id registry
    u64 user_refs = 0;        ///< fds; atomic
    bool frozen = false;      ///< MAP_FREEZE: no more writes from user space. Under freeze_lock
    u32 writers = 0;          ///< writable mappings and user updates in flight, atomic; freeze gives EBUSY while > 0
    mutex freeze_lock{"map_freeze"}; ///< frozen against new writable mappings; task context
    ref<map> inner;           ///< map-in-map: what the maps inside are like (maps/inner.cpp)
    map_owner owner;          ///< PROG_ARRAY; under freeze_lock
    void *btf_ref = nullptr;  ///< a btf reference, owned by cmd (base cannot name it); see cmd/map_cmd.cpp
    const field_table *fields = nullptr; ///< special fields of its values (btf/fields.h), or null; goes with btf_ref
    u32 btf_key_type_id = 0;
    u32 btf_value_type_id = 0;
    port_rcu_head rcu{};
    port_work free_work{};

    bool percpu() const {
        return params.type == BPF_MAP_TYPE_PERCPU_HASH || params.type == BPF_MAP_TYPE_PERCPU_ARRAY ||
               params.type == BPF_MAP_TYPE_LRU_PERCPU_HASH || params.type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
    }
    /// Bytes of one value as bpf() commands carry it.
    u32 user_value_size() const;
    /// Program-side rights.
    bool prog_may_read() const { return !(params.flags & BPF_F_WRONLY_PROG); }
    bool prog_may_write() const { return !(params.flags & BPF_F_RDONLY_PROG); }

    void user_get() { __atomic_fetch_add(&user_refs, 1, __ATOMIC_RELAXED); }
    /// The user reference only: the caller also holds a reference and put()s it afterwards. Task context.
    void user_put();
    static void dispose(map *m);
};

using map_hook = void (*)(map *m);
/// Set once by cmd/ at start-up; map::dispose calls it first, in its own context (atomic, not NMI): the map leaves the id registry.
inline constinit map_hook map_gone_hook = nullptr;
/// The same, called by map::dispose's last step in task context just before ops->free: drops btf_ref.
inline constinit map_hook map_free_hook = nullptr;

/// The type's operations, or null for a number that Linux 6.12 does not know. Those of map_ops::verify_only are for programs that are
/// verified only (maps/verify_only.cpp).
const map_ops *find_map_ops(u32 type);
/// Those that run, and those that do not; for `modbpf features` and tests.
span<const map_ops *const> all_map_ops();
span<const map_ops> verify_only_map_ops();

// Maps inside maps (maps/inner.cpp).
constexpr bool is_map_in_map(u32 type) { return type == BPF_MAP_TYPE_ARRAY_OF_MAPS || type == BPF_MAP_TYPE_HASH_OF_MAPS; }
/// What maps like `m` have in common, for the slots of a map of maps: a map without elements, with one reference. EINVAL: `m` has maps
/// in it itself; ENOTSUPP: a type that cannot be inside a map; ENOMEM.
result<map *> make_inner_template(map *m);
/// A change of the map by user space is done: when this returns, no program that does not sleep has a map that a map of maps has no more.
/// Task context, outside RCU.
inline void map_change_settle(const map *m) {
    if (is_map_in_map(m->params.type))
        port_rcu_synchronize();
}
/// May `m` be put in a slot whose maps are like `meta`?
bool map_meta_equal(const map *meta, const map *m);
/// Waits until every map whose last reference is gone has been freed. Task context; for the module's exit and for tests.
void map_free_barrier();

/// What a PROG_ARRAY slot points to: the head of a loaded program. prog/prog.h's program derives from it; a tail call
/// jumps to tail_entry with the same context.
struct runnable {
    u64 (*entry)(const void *ctx) = nullptr; ///< sealed text
    const void *tail_entry = nullptr;        ///< behind the prologue; null until the image is sealed
};
/// Supplied by prog/ at start-up, so that maps/prog_array.cpp does not import upwards.
struct prog_array_hooks {
    /// The program behind fd, with a reference, if it may be put in this map (-EINVAL if type, JIT state or attach type do not
    /// match the map's owner). Task context.
    result<runnable *> (*get)(map *m, int fd);
    void (*put)(runnable *p); ///< any context but NMI; frees after a grace period
    u32 (*id)(runnable *p);
};
/// The same for PERF_EVENT_ARRAY: what a slot holds is a perf event of attach/perf_event.cpp.
struct perf_sink {
    /// Writes one PERF_RECORD_SAMPLE with `a` then `b` (b may be empty) as raw data. Any context. 0, -ENOSPC, -EOPNOTSUPP...
    long (*output)(perf_sink *s, const void *a, size_t a_size, const void *b, size_t b_size) = nullptr;
    /// Count, and nanoseconds that it was enabled and running. Any context; the errors of port_perf_read.
    long (*read)(perf_sink *s, u64 (&value)[3]) = nullptr;
    u32 cpu = 0;
};
struct perf_array_hooks {
    result<perf_sink *> (*get)(int fd); ///< a reference to the event behind fd; task context
    void (*put)(perf_sink *s);          ///< atomic or task context; the sink lives on for a grace period
};
/// And for maps of maps: the map behind fd, with a reference, if it may be in a slot of `outer`. -EBADF, -EINVAL. Task context.
struct map_in_map_hooks {
    result<map *> (*get)(map *outer, int fd);
};
extern constinit map_in_map_hooks inner_hooks;
extern constinit prog_array_hooks prog_hooks; ///< set once before the device appears
extern constinit perf_array_hooks perf_hooks;

/// PROG_ARRAY slot for a tail call: null when index is out of range or empty. Inside RCU, any context.
runnable *prog_array_slot(map *m, u32 index);
/// PERF_EVENT_ARRAY slot likewise.
perf_sink *perf_array_slot(map *m, u32 index);

/// CGROUP_ARRAY: is the current task below the group in the slot? 0 or 1; -E2BIG, -EAGAIN: there is none. Inside RCU, any context.
long current_under_slot(map *m, u32 index);

// RINGBUF, program side (maps/ringbuf.cpp). Any context.
void *ringbuf_reserve(map *m, u64 size);              ///< null when full, too large or the lock is taken
void ringbuf_commit(void *sample, u64 flags, bool discard);
long ringbuf_output(map *m, const void *data, u64 size, u64 flags);
u64 ringbuf_query(map *m, u64 what);

// USER_RINGBUF, program side (maps/user_ringbuf.cpp): begin; as often as wanted peek, use the sample, release; end. Any context.
bool user_ringbuf_begin(map *m);                               ///< false: another program takes records now (-EBUSY)
/// -ENODATA: no more; -EAGAIN: a discarded record was skipped; -EINVAL, -E2BIG: user space made it wrong.
long user_ringbuf_peek(map *m, void **sample, u32 *size);
void user_ringbuf_release(map *m, u32 size);
void user_ringbuf_end(map *m, bool wake);

// STACK_TRACE, program side (maps/stack_trace.cpp). Any context.
/// Keeps the call chain of `regs`, or of the caller of `frame`'s function where there are none (port_stack_save), by bpf_get_stackid's
/// flags. -> its key, or -EFAULT, -EEXIST, -ENOMEM, -EINVAL.
long stack_trace_keep(map *m, void *regs, void *frame, u64 flags);
/// How many addresses of a chain fit `size` bytes of `elem_size` each, by the flags of bpf_get_stack and bpf_get_stackid: behind those
/// to skip; 0 when these are more than a chain may have.
u32 stack_trace_depth(u32 size, u32 elem_size, u64 flags);
/// n addresses at `ips` become n port_build_id there.
void stack_trace_build_ids(u64 *ips, u32 n, bool user);

}  // namespace modbpf
