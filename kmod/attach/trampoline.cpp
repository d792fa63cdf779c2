// SPDX-License-Identifier: GPL-2.0-only
// See trampoline.h.
//
// Retiring a text. From the moment that the function calls another one (or none), whoever is in the old text was interrupted there or
// sleeps below it. Sleepers are counted: in before anything can sleep, out behind all that can. So:
//   1. wait until every task that was interrupted has left (port_tasks_synchronize): then all that are to be counted in, are;
//   2. wait until as many were counted out; the counts only fall, so they may be added up one CPU after the other;
//   3. wait for the interrupted ones once more, which covers the few instructions behind counting out; then free.
#include "attach/trampoline.h"

#include "base/list.h"
#include "base/lock.h"
#include "btf/format.h"
#include "jit/trampoline.h"
#include "verifier/btf_target.h"

namespace modbpf {

namespace {

enum kind : u32 { at_entry, modifies, at_exit, kinds };

/// One text with all that it refers to.
struct trampoline_image {
    counted alive;
    trampoline_text text;
    vec<ref<tracer>> tracers;
    u64 *inside = nullptr;  ///< per CPU: counted in less counted out; null where nothing sleeps
    u32 retired = 0;        ///< whoever counts out wakes the work. Atomic
    bool pinned = false;    ///< holds the module: somebody was in it when it was retired, and nobody knows when a sleeper wakes
    list_link link;

    ~trampoline_image() { port_percpu_free(inside); }
    u64 count() const;
};

/// All programs at one function.
struct trampoline {
    port_hook *hook = nullptr;
    u64 func = 0;
    arg_words args;
    vec<ref<tracer>> tracers[kinds];  ///< as they came
    own<trampoline_image> image;      ///< in place; null: none
    list_link link;

    ~trampoline() { port_hook_destroy(hook); }
    bool empty() const { return tracers[at_entry].empty() && tracers[modifies].empty() && tracers[at_exit].empty(); }
};

struct trampoline_table {
    mutex lock{"trampolines"};  ///< `all` and everything in it; task context, taken before the kernel's own locks of its tracer
    list<trampoline, &trampoline::link> all;
    mutex retired_lock{"retired"};  ///< `retired`; task context
    list<trampoline_image, &trampoline_image::link> retired;
    port_work work{};
};

constinit trampoline_table *table = nullptr;

u64 trampoline_image::count() const {
    u64 sum = 0;
    for (u32 cpu = 0; inside && cpu < port_cpu_count(); cpu++)
        sum += __atomic_load_n(static_cast<u64 *>(port_percpu_ptr(inside, cpu)), __ATOMIC_ACQUIRE);
    return sum;
}

void add_to_count(trampoline_image *i, u64 n) {
    preempt_guard here;
    __atomic_fetch_add(static_cast<u64 *>(port_this_cpu_ptr(i->inside)), n, __ATOMIC_RELEASE);
}

// ---- what trampolines call: the traced function's context, maybe NMI ----

void enter(void *owner) { add_to_count(static_cast<trampoline_image *>(owner), 1); }

void leave(void *owner) {
    auto *i = static_cast<trampoline_image *>(owner);
    // Read first: once it is counted out it may be freed.
    bool retired = __atomic_load_n(&i->retired, __ATOMIC_ACQUIRE);
    add_to_count(i, ~u64{0});
    if (retired)
        port_work_queue(&table->work);
}

u64 run(void *tracer_at, u64 *context) {
    auto *t = static_cast<tracer *>(tracer_at);
    context[traced_cookie] = t->cookie;
    if (t->sleeps) // its program stays until the tracer goes
        return __atomic_load_n(&t->gone, __ATOMIC_ACQUIRE) ? 0 : run_sleepable_event(t->prog.get(), context);
    rcu_read_guard readers; // detaching waits for it
    if (__atomic_load_n(&t->gone, __ATOMIC_ACQUIRE))
        return 0;
    run_ctx ctx{};
    return run_event(t->prog.get(), context, ctx);
}

// ---- making and retiring texts ----

/// Task context, from the work queue.
void free_retired(port_work *) {
    list<trampoline_image, &trampoline_image::link> waiting;
    {
        mutex_guard g(table->retired_lock);
        while (trampoline_image *i = table->retired.pop_front())
            waiting.push_back(i);
    }
    if (waiting.empty())
        return;
    port_tasks_synchronize();
    list<trampoline_image, &trampoline_image::link> left;
    while (trampoline_image *i = waiting.pop_front()) {
        if (!i->count()) {
            left.push_back(i);
            continue;
        }
        mutex_guard g(table->retired_lock); // the last one to leave comes back here
        table->retired.push_back(i);
    }
    port_tasks_synchronize();
    while (trampoline_image *i = left.pop_front()) {
        bool pinned = i->pinned;
        destroy(i);
        if (pinned)
            port_module_unpin();
    }
}

void retire(own<trampoline_image> old) {
    trampoline_image *i = old.release();
    if (!i)
        return;
    if (i->count()) {
        i->pinned = true;
        port_module_pin();
    }
    __atomic_store_n(&i->retired, 1, __ATOMIC_RELEASE);
    {
        mutex_guard g(table->retired_lock);
        table->retired.push_back(i);
    }
    port_work_queue(&table->work);
}

/// The text for what is attached now. ENOMEM, E2BIG.
result<own<trampoline_image>> make_image(trampoline &t) {
    own<trampoline_image> i(make<trampoline_image>(PORT_SLEEPING));
    vec<void *> of[kinds];
    bool sleeps = !t.tracers[modifies].empty() || !t.tracers[at_exit].empty();
    if (!i)
        return error(ENOMEM);
    for (u32 k = 0; k < kinds; k++)
        for (size_t n = t.tracers[k].size(); n--;) { // the latest runs first, as in Linux
            const ref<tracer> &at = t.tracers[k][n];
            TRY(i->tracers.push(at));
            TRY(of[k].push(at.get()));
            sleeps |= at->sleeps;
        }
    if (sleeps) {
        i->inside = static_cast<u64 *>(port_percpu_alloc(sizeof(u64), alignof(u64), PORT_SLEEPING));
        if (!i->inside)
            return error(ENOMEM);
    }
    TRY(i->text.build({
        .args = &t.args,
        .func = t.func,
        .body = port_hook_body(t.hook),
        .entry = of[at_entry].view(),
        .modify = of[modifies].view(),
        .exit = of[at_exit].view(),
        .run = run,
        .enter = sleeps ? enter : nullptr,
        .leave = sleeps ? leave : nullptr,
        .owner = i.get(),
    }));
    return i;
}

/// Makes what is attached now take effect. On failure everything is as it was.
status put_in_place(trampoline &t) {
    own<trampoline_image> fresh;
    if (!t.empty())
        fresh = TRY(make_image(t));
    if (int err = port_hook_set(t.hook, fresh ? fresh->text.entry() : nullptr))
        return error(-err);
    swap(t.image, fresh);
    retire(move(fresh));
    return {};
}

// ---- who is attached ----

/// Of the function that `p` was loaded for; null: it is none.
const btf_type *proto_of(const program &p) {
    const btf_type *func = p.attach_types->type(p.attach_btf_id);
    const btf_type *proto = func ? p.attach_types->type(func->size_or_type) : nullptr;
    return proto && proto->kind() == btf_kind::func_proto ? proto : nullptr;
}

/// How that function takes its arguments. EFAULT, reported: the verifier should have refused it.
result<arg_words> words_of(const program &p) {
    const btf &types = *p.attach_types;
    const btf_type *proto = proto_of(p);
    if (MODBPF_BUG_ON(!proto))
        return error(EFAULT);
    arg_words words;
    const auto *args = types.tail<btf_param>(proto);
    for (u32 i = 0; i < proto->vlen(); i++) {
        const btf_type *t;
        u32 size;
        bool known = passed_size(types, args[i].type, &size, &t) && words.add(size);
        if (MODBPF_BUG_ON(!known))
            return error(EFAULT);
    }
    return words;
}

bool is_void(const program &p) {
    const btf_type *proto = proto_of(p);
    return proto && !proto->size_or_type;
}

kind kind_of(const program &p) {
    switch (p.expected_attach_type) {
    case BPF_TRACE_FENTRY: return at_entry;
    case BPF_TRACE_FEXIT: return at_exit;
    case BPF_LSM_MAC: return is_void(p) ? at_exit : modifies;
    default: return modifies;
    }
}

/// The trampoline of the function at `hook`, made where there is none yet; takes the hook.
result<trampoline *> trampoline_at(port_hook *hook, const program &p) {
    u64 func = port_hook_entry(hook);
    for (trampoline *t = table->all.front(); t; t = table->all.next(t))
        if (t->func == func) {
            port_hook_destroy(hook);
            return t;
        }
    own<trampoline> t(make<trampoline>(PORT_SLEEPING));
    if (!t) {
        port_hook_destroy(hook);
        return error(ENOMEM);
    }
    t->hook = hook;
    t->func = func;
    t->args = TRY(words_of(p));
    table->all.push_back(t.get());
    return t.release();
}

void drop_if_empty(trampoline *t) {
    if (!t->empty() || t->image)
        return;
    list<trampoline, &trampoline::link>::remove(t);
    destroy(t);
}

status add(trampoline &t, const ref<tracer> &fresh, kind k) {
    size_t there = 0;
    for (const auto &v : t.tracers)
        there += v.size();
    if (there >= tracers_max)
        return error(E2BIG);
    for (const ref<tracer> &at : t.tracers[k])
        if (at->prog.get() == fresh->prog.get())
            return error(EBUSY);
    TRY(t.tracers[k].push(fresh));
    status placed = put_in_place(t);
    if (!placed.ok())
        t.tracers[k].pop();
    return placed;
}

bool remove_from(vec<ref<tracer>> &v, const tracer *t) {
    size_t at = 0;
    while (at < v.size() && v[at].get() != t)
        at++;
    if (at == v.size())
        return false;
    for (; at + 1 < v.size(); at++)
        v[at] = move(v[at + 1]);
    v.pop();
    return true;
}

}  // namespace

result<ref<tracer>> trampoline_attach(ref<program> p, u64 cookie) {
    const char *name = p->attach_types ? p->attach_types->name(p->attach_btf_id) : nullptr;
    if (MODBPF_BUG_ON(!name))
        return error(EFAULT);
    ref<tracer> fresh(adopt, make<tracer>(PORT_SLEEPING));
    if (!fresh)
        return error(ENOMEM);
    mutex_guard g(table->lock);
    port_hook *hook = nullptr;
    if (int err = port_hook_create(name, &hook))
        return error(-err);
    trampoline *t = TRY(trampoline_at(hook, *p));
    kind k = kind_of(*p);
    fresh->sleeps = p->sleepable;
    fresh->prog = move(p);
    fresh->cookie = cookie;
    fresh->func = t->func;
    status added = add(*t, fresh, k);
    drop_if_empty(t);
    return added.ok() ? result<ref<tracer>>(move(fresh)) : result<ref<tracer>>(added.err());
}

void trampoline_detach(tracer *gone) {
    {
        mutex_guard g(table->lock);
        trampoline *t = table->all.front();
        while (t && t->func != gone->func)
            t = table->all.next(t);
        if (MODBPF_BUG_ON(!t))
            return;
        bool found = false;
        for (auto &v : t->tracers)
            found |= remove_from(v, gone);
        if (MODBPF_BUG_ON(!found))
            return;
        __atomic_store_n(&gone->gone, 1, __ATOMIC_RELEASE);
        // Without memory for another text the old one stays, and passes over what is gone.
        (void)put_in_place(*t);
        drop_if_empty(t);
    }
    if (gone->sleeps)
        return;
    port_rcu_synchronize();
    gone->prog = {};
}

status trampolines_init() {
    table = make<trampoline_table>(PORT_SLEEPING);
    if (!table)
        return error(ENOMEM);
    port_work_init(&table->work, free_retired);
    return {};
}

void trampolines_exit() {
    // Whoever came in while a text was retired is waited for; it was pinned for those who slept in it before.
    for (port_work_flush(&table->work); !table->retired.empty(); port_work_flush(&table->work)) {
        port_work_queue(&table->work);
        port_rcu_synchronize();
    }
    (void)MODBPF_BUG_ON(!table->all.empty() || !table->retired.empty());
    destroy(table);
    table = nullptr;
}

}  // namespace modbpf
