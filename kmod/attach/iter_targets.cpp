// SPDX-License-Identifier: GPL-2.0-only
// The targets of iterators, and their table.
#include "attach/iter.h"
#include "attach/link.h"
#include "maps/value.h"
#include "prog/files.h"
#include "prog/state.h"

namespace modbpf {

namespace {

// ---- bpf_map_elem: {map, key, value} ----------------------------------------------------------------------------------------

/// What the program reads and writes must be inside key and value.
long attach_map(const program &p, const iter_link_info &asked, iter_aim *aim) {
    if (!asked.map.map_fd)
        return -EBADF;
    result<held_file<map>> m = hold_file<map>(static_cast<int>(asked.map.map_fd), map_file_ops);
    if (!m)
        return m.code();
    map *of = m->get();
    if (!of->ops->walk)
        return -EINVAL;
    u32 value_size = of->percpu() ? of->user_value_size() : of->params.value_size;
    if (p.verified->max_rdonly_access > of->params.key_size || p.verified->max_rdwr_access > value_size)
        return -EACCES;
    aim->of = user_map(of);
    return 0;
}

void map_info(const iter_aim &aim, bpf_link_info &info) { info.iter.map_id = aim.of->id; }
void map_fdinfo(const iter_aim &aim, port_seq *seq) { port_seq_printf(seq, "map_id:\t%u\n", aim.of->id); }

/// Linux gives the program the value itself, but for per-CPU maps. Here it gets a copy, too, where special fields are, which it must not
/// change, and where programs may not write, because the verifier then relies on the value.
status open_map(iter_session &s) {
    const map &m = *s.aim.of.get();
    TRY(s.shown.make_map());
    s.shown.show(m);
    bool copied = m.percpu() || m.fields || !m.prog_may_write();
    if (!copied)
        return {};
    s.copy = static_cast<u8 *>(port_alloc(m.user_value_size(), PORT_SLEEPING));
    if (!s.copy)
        return error(ENOMEM);
    if (m.percpu() || !m.prog_may_write())
        return {};
    s.before = static_cast<u8 *>(port_alloc(m.params.value_size, PORT_SLEEPING));
    return s.before ? status() : status(error(ENOMEM));
}

bool tell_element(iter_session &s, bool at) {
    map *m = s.aim.of.get();
    s.words[0] = addr_of(s.shown.map.get());
    s.words[1] = s.words[2] = 0;
    if (!at)
        return false;
    if (s.copy)
        m->ops->copy_element(m, &s.element, s.copy);
    if (s.before)
        memcpy(s.before, s.copy, m->params.value_size);
    s.words[1] = addr_of(s.element.key);
    s.words[2] = addr_of(s.copy ? s.copy : s.element.value);
    return true;
}

bool walk_map(iter_session &s, bool next) {
    map *m = s.aim.of.get();
    return tell_element(s, m->ops->walk(m, &s.cursor, next, &s.element));
}

void write_back(iter_session &s) {
    map *m = s.aim.of.get();
    if (s.before && s.words[2])
        store_changes(*m->fields, s.element.value, s.before, s.copy, m->params.value_size);
}

// ---- bpf_map: {map}; bpf_prog: {prog}; bpf_link: {link}: all that have ids, by rising ids ------------------------------------

long attach_all(const program &, const iter_link_info &, iter_aim *) { return 0; }
void no_info(const iter_aim &, bpf_link_info &) {}
void no_fdinfo(const iter_aim &, port_seq *) {}

template <class T> bool visible(const T &) { return true; }
bool visible(const bpf_link &l) { return __atomic_load_n(&l.settled, __ATOMIC_ACQUIRE); }

/// The object at the place, or the next one. What is shown is a copy: nothing is held.
template <class T> bool show_from(iter_session &s, id_table<T> &table) {
    s.words[0] = 0;
    for (u32 id = s.at_id; table.next(&id); id++) {
        ref<T> object(adopt, table.get(id));
        if (!object || !visible(*object))
            continue;
        s.at_id = id;
        s.words[0] = addr_of(s.shown.show(*object));
        return true;
    }
    s.at_id = ~0u; // behind the last: new ones are not waited for
    return false;
}
template <class T> bool show_next(iter_session &s, id_table<T> &table) {
    s.at_id++;
    return show_from(s, table);
}

using step_fn = bool (*)(iter_session &s);
/// Over all that there is of something, which nobody narrows and nothing holds between two steps.
constexpr iter_target whole(const char *name, bool programs_may_sleep, status (*open)(iter_session &), step_fn start, step_fn next) {
    return {
        .name = name,
        .programs_may_sleep = programs_may_sleep,
        .walk = {},
        .program_ends = false,
        .attach = attach_all,
        .fill_info = no_info,
        .show_fdinfo = no_fdinfo,
        .open = open,
        .start = start,
        .next = next,
        .stop = [](iter_session &) {},
        .shown = nullptr,
    };
}

// ---- task: {task}; task_file: {task, fd, file}; task_vma: {task, vma} -------------------------------------------------------

long attach_task(const program &, const iter_link_info &asked, iter_aim *aim) {
    const auto &t = asked.task;
    if (!!t.tid + !!t.pid + !!t.pid_fd > 1)
        return -EINVAL;
    aim->walk_of = t.tid ? PORT_WALK_THREAD : t.pid || t.pid_fd ? PORT_WALK_PROCESS : PORT_WALK_ALL;
    aim->pid = t.tid ? t.tid : t.pid;
    return t.pid_fd ? port_pidfd_process(static_cast<int>(t.pid_fd), &aim->pid) : 0;
}

void task_info(const iter_aim &aim, bpf_link_info &info) {
    if (aim.walk_of == PORT_WALK_THREAD)
        info.iter.tid = aim.pid;
    if (aim.walk_of == PORT_WALK_PROCESS)
        info.iter.pid = aim.pid;
}

void task_fdinfo(const iter_aim &aim, port_seq *seq) {
    static constexpr const char *names[] = {"ALL", "TID", "PID"};
    port_seq_printf(seq, "task_type:\t%s\n", names[aim.walk_of]);
    if (aim.walk_of != PORT_WALK_ALL)
        port_seq_printf(seq, "%s:\t%u\n", aim.walk_of == PORT_WALK_THREAD ? "tid" : "pid", aim.pid);
}

status open_walk(iter_session &s) {
    int rc = port_walk_create(s.aim.target->walk, s.aim.walk_of, s.aim.pid, &s.walk);
    return rc ? status(error(-rc)) : status();
}

constexpr iter_target tasks(const char *name, port_walk_kind kind) {
    return {
        .name = name,
        .programs_may_sleep = true,
        .walk = kind,
        .program_ends = false,
        .attach = attach_task,
        .fill_info = task_info,
        .show_fdinfo = task_fdinfo,
        .open = open_walk,
        .start = [](iter_session &s) { return port_walk_start(s.walk, s.words); },
        .next = [](iter_session &s) { return port_walk_next(s.walk, s.words); },
        .stop = [](iter_session &s) { port_walk_stop(s.walk); },
        .shown = nullptr,
    };
}

// ---- cgroup: {group}, in one walk, that no second read goes on with ----------------------------------------------------------

enum : u32 { BPF_CGROUP_ITER_SELF_ONLY = 1, BPF_CGROUP_ITER_DESCENDANTS_PRE, BPF_CGROUP_ITER_DESCENDANTS_POST, BPF_CGROUP_ITER_ANCESTORS_UP };
constexpr const char *order_names[] = {"self_only", "descendants_pre", "descendants_post", "ancestors_up"};

long attach_cgroup(const program &, const iter_link_info &asked, iter_aim *aim) {
    const auto &g = asked.cgroup;
    if (g.order < BPF_CGROUP_ITER_SELF_ONLY || g.order > BPF_CGROUP_ITER_ANCESTORS_UP || (g.fd && g.id))
        return -EINVAL;
    u64 group = 0;
    long rc = port_cgroup_find(static_cast<int>(g.fd), g.id, &group);
    aim->group = held_cgroup(group);
    aim->order = g.order;
    return rc;
}

void cgroup_info(const iter_aim &aim, bpf_link_info &info) {
    info.iter.cgroup.id = port_cgroup_number(aim.group.get());
    info.iter.cgroup.order = aim.order;
}

void cgroup_fdinfo(const iter_aim &aim, port_seq *seq) {
    constexpr size_t path_max = 4096;
    char *path = static_cast<char *>(port_alloc(path_max, PORT_SLEEPING));
    const char *known = path && !port_cgroup_path(aim.group.get(), path, path_max) ? path : "";
    port_seq_printf(seq, "cgroup_path:\t%s\norder: %s\n", path ? known : "<unknown>", order_names[aim.order - BPF_CGROUP_ITER_SELF_ONLY]);
    port_free(path);
}

bool tell_group(iter_session &s, u64 group) {
    s.group = s.words[0] = group;
    s.passed_over = group && !port_cgroup_online(group);
    if (group)
        return true;
    s.all_seen = true;
    port_cgroups_unlock();
    return false;
}

u64 step_group(const iter_session &s) {
    u64 from = s.aim.group.get();
    rcu_read_guard readers;
    switch (s.aim.order) {
    case BPF_CGROUP_ITER_DESCENDANTS_PRE: return port_css_next(from, s.group, PORT_CSS_PRE);
    case BPF_CGROUP_ITER_DESCENDANTS_POST: return port_css_next(from, s.group, PORT_CSS_POST);
    case BPF_CGROUP_ITER_ANCESTORS_UP: return port_css_next(from, s.group, PORT_CSS_UP);
    default: return s.group ? 0 : from;
    }
}

bool start_groups(iter_session &s) {
    s.words[0] = 0;
    s.passed_over = false;
    if (s.begun || !port_cgroups_lock()) {
        s.failed = s.all_seen ? 0 : -EOPNOTSUPP;
        return false;
    }
    s.begun = true;
    return tell_group(s, step_group(s));
}

// ---- ksym: {symbol}: the kernel's own record of it ---------------------------------------------------------------------------

/// As large as the kernel's type says, and told to show addresses.
status open_symbols(iter_session &s) {
    constexpr const char *show = "show_value";
    ref<btf> kernel = TRY(btf::vmlinux());
    u32 id = kernel->find("kallsym_iter", btf_kind::structure), size, at, width;
    const btf_type *t = kernel->type(id);
    const btf_member *m = t ? kernel->member(t, show, strlen(show)) : nullptr;
    if (!m || !kernel->size_of(id, &size) || !kernel->bytes_of(t, m, &at, &width) || width != sizeof(u32) || at > size - width)
        return error(EOPNOTSUPP);
    s.copy = static_cast<u8 *>(port_alloc(size, PORT_SLEEPING));
    if (!s.copy)
        return error(ENOMEM);
    u32 yes = 1;
    memcpy(s.copy + at, &yes, sizeof(yes));
    return {};
}

bool show_symbol(iter_session &s) {
    bool there = port_symbol_at(s.copy, s.at_id - 1);
    s.words[0] = there ? addr_of(s.copy) : 0;
    return there;
}

constexpr iter_target targets[] = {
    {
        .name = "cgroup",
        .programs_may_sleep = true,
        .walk = {},
        .program_ends = true,
        .attach = attach_cgroup,
        .fill_info = cgroup_info,
        .show_fdinfo = cgroup_fdinfo,
        .open = [](iter_session &) { return status(); },
        .start = start_groups,
        .next = [](iter_session &s) { return tell_group(s, s.stopped ? 0 : step_group(s)); },
        .stop = [](iter_session &) { port_cgroups_unlock(); },
        .shown = nullptr,
    },
    whole("ksym", true, open_symbols, show_symbol, [](iter_session &s) { return s.at_id++, show_symbol(s); }),
    tasks("task", PORT_WALK_TASKS),
    tasks("task_file", PORT_WALK_FILES),
    tasks("task_vma", PORT_WALK_MAPPINGS),
    {
        .name = "bpf_map_elem",
        .programs_may_sleep = false,
        .walk = {},
        .program_ends = false,
        .attach = attach_map,
        .fill_info = map_info,
        .show_fdinfo = map_fdinfo,
        .open = open_map,
        .start = [](iter_session &s) { return walk_map(s, false); },
        .next = [](iter_session &s) { return walk_map(s, true); },
        .stop = [](iter_session &) {},
        .shown = write_back,
    },
    whole("bpf_map", false, [](iter_session &s) { return s.shown.make_map(); }, [](iter_session &s) { return show_from(s, core->maps); },
          [](iter_session &s) { return show_next(s, core->maps); }),
    whole("bpf_prog", false, [](iter_session &s) { return s.shown.make_prog(); }, [](iter_session &s) { return show_from(s, core->progs); },
          [](iter_session &s) { return show_next(s, core->progs); }),
    whole("bpf_link", false, [](iter_session &s) { return s.shown.make_link(); }, [](iter_session &s) { return show_from(s, core->links); },
          [](iter_session &s) { return show_next(s, core->links); }),
};

constexpr char prefix[] = "bpf_iter_";
constexpr u32 prefix_len = sizeof(prefix) - 1;

}  // namespace

const iter_target *find_iter_target(const char *function) {
    if (strncmp(function, prefix, prefix_len))
        return nullptr;
    for (const iter_target &t : targets)
        if (!strcmp(function + prefix_len, t.name))
            return &t;
    return nullptr;
}

span<const iter_target> all_iter_targets() { return targets; }

}  // namespace modbpf
