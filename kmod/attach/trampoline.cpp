// SPDX-License-Identifier: GPL-2.0-only
// See trampoline.h.
//
// Retiring a text. From the moment that the function calls another one (or none), whoever is in the old text was interrupted there or
// sleeps below it. Sleepers are counted: in before anything can sleep, out behind all that can. So:
//   1. wait until every task that was interrupted has left (port_tasks_synchronize): then all that are to be counted in, are;
//   2. wait until as many were counted out; the counts only fall, so they may be added up one CPU after the other;
//   3. wait for the interrupted ones once more, which covers the few instructions behind counting out; then free.
// At functions of programs runs are inside RCU sections, which are waited for too, or the program counts them, around all of them
// (prog/hooks.h): a program that throws goes past its trampolines.
#include "attach/trampoline.h"

#include "attach/perf_event.h"
#include "base/list.h"
#include "base/lock.h"
#include "btf/format.h"
#include "helpers/traced.h"
#include "jit/trampoline.h"
#include "prog/hooks.h"
#include "verifier/btf_target.h"

namespace modbpf {

enum kind : u32 { at_entry, modifies, at_exit, kinds };

/// One text with all that it refers to. The interpreter does by itself what the text does (code_around).
struct trampoline_image : code_around {
    counted alive;
    trampoline_text text;
    vec<ref<tracer>> tracers;
    vec<void *> of[kinds];  ///< the same, in the order that they run in
    ref<program> target;    ///< whose function it is; null: the kernel's
    u64 func = 0;
    u64 *inside = nullptr;  ///< per CPU: counted in less counted out; null where nothing sleeps
    u32 retired = 0;        ///< whoever counts out wakes the work. Atomic
    bool pinned = false;    ///< holds the module: somebody was in it when it was retired, and nobody knows when a sleeper wakes
    list_link link;

    ~trampoline_image() { port_percpu_free(inside); }
    u64 count() const;
};

/// All programs at one function.
struct trampoline {
    port_hook *hook = nullptr; ///< of the kernel's
    ref<program> target;       ///< of a program's: it, and the subprogram's index
    u32 sub = 0;
    u64 func = 0;              ///< its address; 0: of a program that does not run
    arg_words args;
    vec<ref<tracer>> tracers[kinds];  ///< as they came
    ref<tracer> extension;            ///< then there is nothing else
    own<trampoline_image> image;      ///< in place; null: none
    list_link link;

    ~trampoline() { port_hook_destroy(hook); }
    size_t count() const { return tracers[at_entry].size() + tracers[modifies].size() + tracers[at_exit].size(); }
};

namespace {

struct trampoline_table {
    mutex lock{"trampolines"};  ///< `all` and everything in it; task context, taken before the kernel's own locks of its tracer
    list<trampoline, &trampoline::link> all;
    mutex retired_lock{"retired"};  ///< `retired`; task context
    list<trampoline_image, &trampoline_image::link> retired;
    port_work work{};
};

constinit trampoline_table *table = nullptr;

}  // namespace

u64 trampoline_image::count() const {
    u64 sum = target ? target->hooks->count() : 0;
    for (u32 cpu = 0; inside && cpu < port_cpu_count(); cpu++)
        sum += __atomic_load_n(static_cast<u64 *>(port_percpu_ptr(inside, cpu)), __ATOMIC_ACQUIRE);
    return sum;
}

namespace {

// ---- what trampolines call: the traced function's context, maybe NMI ----

void enter(void *owner) { port_percpu_add(static_cast<trampoline_image *>(owner)->inside, 1); }

void leave(void *owner) {
    auto *i = static_cast<trampoline_image *>(owner);
    // Read first: once it is counted out it may be freed.
    bool retired = __atomic_load_n(&i->retired, __ATOMIC_ACQUIRE);
    port_percpu_add(i->inside, ~u64{0});
    if (retired)
        port_work_queue(&table->work);
}

u64 run(void *tracer_at, u64 *context) {
    auto *t = static_cast<tracer *>(tracer_at);
    context[traced_cookie] = t->cookie;
    if (t->sleeps) // its program stays until the tracer goes
        return __atomic_load_n(&t->gone, __ATOMIC_ACQUIRE) ? 0 : run_sleepable_event(t->prog.get(), context);
    preempt_guard here; // detaching waits for it
    preempt_off_read_guard readers;
    if (__atomic_load_n(&t->gone, __ATOMIC_ACQUIRE))
        return 0;
    MODBPF_UNINITIALIZED event_run ctx(nullptr, 0, 0);
    return run_event(t->prog.get(), context, ctx);
}

/// With the shadow of the packet in place of the program's context, wherever that is among the arguments.
[[gnu::noinline]] u64 run_with_shadow(tracer *t, u64 *context, const packet_run &packet) {
    alignas(8) u8 shadow[packet_layout::max_bytes];
    t->packet.fill(shadow, packet);
    u64 count = context[traced_arg_count], at = addr_of(&packet), ret;
    u32 changed = 0;
    for (u32 i = 0; i < count; i++)
        if (context[i] == at)
            context[i] = addr_of(shadow), changed |= 1u << i;
    ret = run(t, context);
    for (u32 i = 0; i < count; i++)
        if (changed >> i & 1)
            context[i] = at;
    return ret;
}

/// At a program's function. A packet is that program's: runs with preemption off alone have one, and this CPU's is below this here.
u64 run_at_program(void *tracer_at, u64 *context) {
    preempt_guard here;
    auto *t = static_cast<tracer *>(tracer_at);
    const run_ctx *outer = current_run();
    return outer && outer->packet ? run_with_shadow(t, context, *outer->packet) : run(t, context);
}

void run_before(const code_around *a, u64 *context) {
    auto *i = static_cast<const trampoline_image *>(a);
    context[traced_arg_count] = i->args;
    context[traced_func] = i->func;
    for (void *t : i->of[at_entry])
        run_at_program(t, context);
}

void run_after(const code_around *a, u64 *context) {
    for (void *t : static_cast<const trampoline_image *>(a)->of[at_exit])
        run_at_program(t, context);
}

// ---- making and retiring texts ----

/// Of texts that nobody enters any more: all that came in inside RCU or with preemption off have left.
void wait_for_interrupted() {
    port_tasks_synchronize();
    port_rcu_synchronize();
}

/// Its runs need not tell any more when they end, unless other texts wait for them.
void stop_waiting(const program *target) {
    mutex_guard g(table->retired_lock);
    for (trampoline_image *i = table->retired.front(); i; i = table->retired.next(i))
        if (i->target.get() == target)
            return;
    __atomic_store_n(&target->hooks->waiting, nullptr, __ATOMIC_RELEASE);
}

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
    wait_for_interrupted();
    list<trampoline_image, &trampoline_image::link> left;
    while (trampoline_image *i = waiting.pop_front()) {
        if (!i->count()) {
            left.push_back(i);
            continue;
        }
        mutex_guard g(table->retired_lock); // the last one to leave comes back here
        table->retired.push_back(i);
    }
    wait_for_interrupted();
    while (trampoline_image *i = left.pop_front()) {
        bool pinned = i->pinned;
        if (i->target)
            stop_waiting(i->target.get());
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
        if (i->target)
            __atomic_store_n(&i->target->hooks->waiting, &table->work, __ATOMIC_RELEASE);
    }
    port_work_queue(&table->work);
}

const jit_func &native_of(const trampoline &t) { return t.target->hooks->image.funcs()[t.sub]; }

/// Where the function goes on behind its call of a trampoline, or its look at the hook.
u64 body_of(const trampoline &t) {
    return t.target ? addr_of(t.target->hooks->image.text().data()) + native_of(t).body : port_hook_body(t.hook);
}

/// The text for what is attached now. ENOMEM, E2BIG.
result<own<trampoline_image>> make_image(trampoline &t) {
    own<trampoline_image> i(make<trampoline_image>(PORT_SLEEPING));
    bool sleeps = !t.tracers[modifies].empty() || !t.tracers[at_exit].empty();
    if (!i)
        return error(ENOMEM);
    for (u32 k = 0; k < kinds; k++)
        for (size_t n = t.tracers[k].size(); n--;) { // the latest runs first, as in Linux
            const ref<tracer> &at = t.tracers[k][n];
            TRY(i->tracers.push(at));
            TRY(i->of[k].push(at.get()));
            sleeps |= at->sleeps;
        }
    i->target = t.target;
    i->func = t.func;
    i->args = t.args.count;
    i->before = run_before;
    i->after = run_after;
    sleeps &= !t.target;
    if (sleeps) {
        i->inside = static_cast<u64 *>(port_percpu_alloc(sizeof(u64), alignof(u64), PORT_SLEEPING));
        if (!i->inside)
            return error(ENOMEM);
    }
    TRY(i->text.build({
        .args = &t.args,
        .func = t.func,
        .body = body_of(t),
        .of_program = t.target.get() != nullptr,
        .entry = i->of[at_entry].view(),
        .modify = i->of[modifies].view(),
        .exit = i->of[at_exit].view(),
        .run = t.target ? run_at_program : run,
        .enter = sleeps ? enter : nullptr,
        .leave = sleeps ? leave : nullptr,
        .owner = i.get(),
    }));
    return i;
}

/// The hook of a program's function leads to its extension, or to `image`, or nowhere.
void set_hook(trampoline &t, const trampoline_image *image) {
    code_hook &h = t.target->hooks->at[t.sub];
    const void *text = image ? image->text.entry() : nullptr;
    const code_around *around = image;
    if (t.extension) {
        text = reinterpret_cast<const void *>(t.extension->prog->hooks->image.entry());
        around = &t.extension->replaces;
    }
    __atomic_store_n(&h.around, around, __ATOMIC_RELEASE);
    __atomic_store_n(&h.text, text, __ATOMIC_SEQ_CST);
}

/// Makes what is attached now take effect. On failure everything is as it was.
status put_in_place(trampoline &t) {
    own<trampoline_image> fresh;
    if (t.count() && (t.hook || t.func))
        fresh = TRY(make_image(t));
    if (t.hook) {
        if (int err = port_hook_set(t.hook, fresh ? fresh->text.entry() : nullptr))
            return error(-err);
    } else if (t.func) {
        set_hook(t, fresh.get());
    }
    swap(t.image, fresh);
    retire(move(fresh));
    return {};
}

// ---- who is attached ----

/// Of a function; null: it is none.
const btf_type *proto_of(const btf &types, u32 func_id) {
    const btf_type *func = types.type(func_id);
    const btf_type *proto = func ? types.type(func->size_or_type) : nullptr;
    return proto && proto->kind() == btf_kind::func_proto ? proto : nullptr;
}

/// How a function takes its arguments. EFAULT, reported: the verifier should have refused it.
result<arg_words> words_of(const btf &types, u32 func_id) {
    const btf_type *proto = proto_of(types, func_id);
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

/// The same of a program's: a prototype that is not reliable counts as one with five words.
result<arg_words> words_of(const program &target, u32 sub, u32 func_id) {
    const verified_program &v = *target.verified;
    for (u32 f = 0; f < v.funcs.size(); f++)
        if (v.funcs[f].insn_off == v.image.subprogs[sub].start && !(v.func_flags[f] & func_untyped))
            return words_of(*target.types, func_id);
    arg_words words;
    for (u32 i = 0; i < 5; i++)
        (void)words.add(8);
    return words;
}

bool is_void(const program &p) {
    const btf_type *proto = proto_of(*p.attach_types, p.attach_btf_id);
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

/// The trampoline of the kernel's function at `hook`, made where there is none yet; takes the hook.
result<trampoline *> trampoline_at(port_hook *hook, const program &p) {
    u64 func = port_hook_entry(hook);
    for (trampoline *t = table->all.front(); t; t = table->all.next(t))
        if (!t->target && t->func == func) {
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
    t->args = TRY(words_of(*p.attach_types, p.attach_btf_id));
    table->all.push_back(t.get());
    return t.release();
}

/// The trampoline of a program's function. EINVAL: it has no such function.
result<trampoline *> trampoline_at(const ref<program> &target, u32 btf_id) {
    s32 sub = subprog_of(*target, btf_id);
    if (sub < 0)
        return error(EINVAL);
    for (trampoline *t = table->all.front(); t; t = table->all.next(t))
        if (t->target.get() == target.get() && t->sub == static_cast<u32>(sub))
            return t;
    if (target->runs()) {
        TRY(make_hooks(target.get()));
        TRY(perf_events_show_records(*target));
    }
    own<trampoline> t(make<trampoline>(PORT_SLEEPING));
    if (!t)
        return error(ENOMEM);
    t->target = target;
    t->sub = static_cast<u32>(sub);
    t->args = TRY(words_of(*target, t->sub, btf_id));
    if (t->args.count > 5) // registers of programs are five
        return error(EINVAL);
    if (target->runs())
        t->func = addr_of(target->hooks->image.text().data()) + native_of(*t).offset;
    table->all.push_back(t.get());
    return t.release();
}

void drop_if_empty(trampoline *t) {
    if (t->count() || t->extension || t->image)
        return;
    list<trampoline, &trampoline::link>::remove(t);
    destroy(t);
}

status add(trampoline &t, const ref<tracer> &fresh, kind k) {
    if (t.extension)
        return error(EBUSY);
    if (t.count() >= tracers_max)
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

/// An extension is alone, and its program runs on hooks of its own, so that it can be traced.
status extend(trampoline &t, const ref<tracer> &fresh) {
    if (t.extension || t.count())
        return error(EBUSY);
    if (t.func && !fresh->prog->runs())
        return error(ENOTSUPP);
    if (t.func)
        TRY(make_hooks(fresh->prog.get()));
    TRY(begin_extension(t.target.get()));
    fresh->replaces.instead = &fresh->prog->verified->image;
    t.extension = fresh;
    return put_in_place(t); // it needs no memory
}

/// `p` at a trampoline that may have been made for it, and then goes again if that fails.
result<ref<tracer>> put_at(trampoline *t, ref<tracer> fresh, ref<program> p, u64 cookie) {
    bool extends = p->type->type == BPF_PROG_TYPE_EXT;
    fresh->prog = move(p);
    fresh->cookie = cookie;
    fresh->at = t;
    status added = extends ? extend(*t, fresh) : add(*t, fresh, kind_of(*fresh->prog));
    drop_if_empty(t);
    return added.ok() ? result<ref<tracer>>(move(fresh)) : result<ref<tracer>>(added.err());
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
    if (int err = port_hook_create(name, p->attach_types->module(), &hook))
        return error(-err);
    trampoline *t = TRY(trampoline_at(hook, *p));
    fresh->sleeps = p->sleepable;
    return put_at(t, move(fresh), move(p), cookie);
}

result<ref<tracer>> trampoline_attach_to(ref<program> p, ref<program> target, u32 btf_id, u64 cookie) {
    ref<tracer> fresh(adopt, make<tracer>(PORT_SLEEPING));
    if (!fresh)
        return error(ENOMEM);
    bool extends = p->type->type == BPF_PROG_TYPE_EXT;
    if (!extends && target->ruling_type() == BPF_PROG_TYPE_PERF_EVENT) // its context is not what the tracer's types say
        return error(ENOTSUPP);
    mutex_guard g(table->lock);
    trampoline *t = TRY(trampoline_at(target, btf_id));
    if (!extends)
        fresh->packet.find(t->target->ruling_type());
    return put_at(t, move(fresh), move(p), cookie);
}

void trampoline_detach(tracer *gone) {
    {
        mutex_guard g(table->lock);
        trampoline *t = gone->at;
        bool found = t->extension.get() == gone;
        if (found) {
            t->extension = {};
            end_extension(t->target.get());
        }
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
