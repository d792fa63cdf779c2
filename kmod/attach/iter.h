// SPDX-License-Identifier: GPL-2.0-only
// Iterators: a program that is shown objects one by one, and whose text user space reads.
//
// Terms: a target is a kind of objects (attach/iter_targets.cpp has the table); an aim is what a link's iterator goes over: a target and
// what narrows it; a session is one open file, with a place among the objects. read() walks on until its text is as long as asked.
//
// Ownership: a link has its aim; a session has one of its own, and the program that the link had when it was made.
// Behaviour and errno: Linux 6.12 (bpf_iter.c, map_iter.c, task_iter.c, cgroup_iter.c, and kallsyms.c).
#pragma once

#include "attach/shadow.h"
#include "helpers/seq.h"
#include "prog/files.h"
#include "prog/info.h"
#include "prog/prog.h"

namespace modbpf {

struct bpf_link;
struct iter_session;

/// A map with a user reference, as an fd has it.
class user_map {
public:
    user_map() = default;
    /// Takes one more of each; the caller's file or session keeps the map used meanwhile.
    explicit user_map(map *m) : m_(m) { map_get_user(m); }
    user_map(const user_map &o) : m_(o.m_) {
        if (m_)
            map_get_user(m_);
    }
    user_map(user_map &&o) noexcept : m_(o.m_) { o.m_ = nullptr; }
    user_map &operator=(user_map &&o) noexcept {
        swap(m_, o.m_);
        return *this;
    }
    ~user_map() {
        if (m_)
            map_put_user(m_);
    }
    map *get() const { return m_; }
    map *operator->() const { return m_; }

private:
    map *m_ = nullptr;
};

/// A control group with a reference.
class held_cgroup {
public:
    held_cgroup() = default;
    /// Takes over the caller's reference.
    explicit held_cgroup(u64 group) : group_(group) {}
    held_cgroup(const held_cgroup &o) : group_(o.group_ ? port_cgroup_get(o.group_) : 0) {}
    held_cgroup &operator=(held_cgroup o) noexcept {
        swap(group_, o.group_);
        return *this;
    }
    ~held_cgroup() {
        if (group_)
            port_cgroup_put(group_);
    }
    u64 get() const { return group_; }

private:
    u64 group_ = 0;
};

/// union bpf_iter_link_info of LINK_CREATE.
union iter_link_info {
    struct {
        u32 map_fd;
    } map;
    struct {
        u32 order, fd;
        u64 id;
    } cgroup;
    struct {
        u32 tid, pid, pid_fd;
    } task;
    u64 words[2];
};
static_assert(sizeof(iter_link_info) == 16);

struct iter_aim;
struct iter_target {
    const char *name;      ///< "task" of "bpf_iter_task"
    bool programs_may_sleep;
    port_walk_kind walk;   ///< tasks and what they have
    bool program_ends;     ///< a program that returns 1 ends the walk behind the object, instead of asking for it once more
    /// Narrows the aim as user space asks. Task context.
    long (*attach)(const program &p, const iter_link_info &asked, iter_aim *aim);
    void (*fill_info)(const iter_aim &aim, bpf_link_info &info);
    void (*show_fdinfo)(const iter_aim &aim, port_seq *seq);

    // A session's; task context. start and next fill in `words` and hold the object until next or stop. False: the end, nothing is held.
    status (*open)(iter_session &s);
    bool (*start)(iter_session &s);
    bool (*next)(iter_session &s);
    void (*stop)(iter_session &s);  ///< at an object, which the next start finds again
    void (*shown)(iter_session &s); ///< the program has seen the object; may be null
};
/// Null: no such target here. `function`: "bpf_iter_task".
const iter_target *find_iter_target(const char *function);
span<const iter_target> all_iter_targets();

struct iter_aim {
    const iter_target *target = nullptr;
    user_map of;
    held_cgroup group;
    u32 order = 0; ///< of the groups below or above
    port_walk_of walk_of = PORT_WALK_ALL;
    u32 pid = 0;
};

/// What programs get as ctx->meta: the kernel's struct bpf_iter_meta.
struct iter_meta {
    port_seq *seq;
    u64 session_id;
    u64 seq_num; ///< of the object, from 0
};

struct iter_session {
    explicit iter_session(const iter_aim &a) : aim(a) {}
    ~iter_session();

    iter_aim aim;
    ref<program> prog;
    mutex lock{"iter_session"}; ///< all that follows; task context
    iter_meta meta{};
    u64 words[PORT_WALK_WORDS]{}; ///< the context behind `meta`
    s64 index = 0;         ///< how far the walk has come, from 1
    size_t from = 0;       ///< of the text, what has been read
    bool buffered = false;
    bool ended = false;    ///< the program was told of the end
    bool stopped = false;  ///< by the program, where it may (program_ends)
    bool passed_over = false; ///< the object is not shown
    long failed = 0;       ///< start gave no object, and why that is not the end

    port_walk *walk = nullptr;
    shadows shown;     ///< what the program sees of maps, programs and links
    u32 at_id = 1;     ///< bpf_map, bpf_prog, bpf_link: of the object, or one behind the last
    u64 group = 0;     ///< cgroup: the current one
    bool begun = false, all_seen = false; ///< cgroup: of the one walk
    // bpf_map_elem
    map_cursor cursor{};
    map_element element{};
    u8 *copy = nullptr;       ///< ksym: the record; bpf_map_elem: the value as shown, where the program does not get the map's own
    u8 *before = nullptr;     ///< the same, untouched: what the program changed is written back
};

extern const port_file_ops iter_file_ops; ///< "bpf_iter"
/// A session of the link's: for a file of iter_file_ops, which owns it. EINVAL: the link is no iterator's. Task context.
result<own<iter_session>> iter_open(bpf_link *l);
/// ITER_CREATE. -> fd or -errno.
long iter_new_fd(bpf_link *l);

/// LINK_CREATE of a program at an iterator. -> fd or -errno.
long iter_link_create(ref<program> p, u64 uinfo, u32 info_len);
/// Another program for the link: from now on sessions run it. EPERM: it has not `old` (or any, if null); EINVAL: it is for another target.
long iter_link_update(bpf_link *l, ref<program> fresh, const program *old);

}  // namespace modbpf
