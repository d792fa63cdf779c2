// SPDX-License-Identifier: GPL-2.0-only
// Objects, and what map values own: everything that is let go is freed, once.
#include "maps/release.h"

#include "btf/btf_builder_test.h"
#include "maps/async.h"
#include "maps/graph.h"
#include "maps/map_test.h"
#include "maps/object.h"

#include <atomic>
#include <random>
#include <thread>
#include <vector>

using namespace modbpf;

namespace {

/// struct { bpf_spin_lock lock; pad; list head; tree root; kptr own; kptr percpu; bpf_timer timer; bpf_wq work; u64 data; }
struct value {
    u32 lock, pad;
    list_root list;
    tree_root tree;
    void *own, *percpu;
    async_field timer, work;
    u64 data;
};

/// An object of the tests: struct { list_item; tree_item; kptr next; refcount; data }
struct thing {
    list_item list;
    tree_item tree;
    void *next;
    u32 refs, data;
};

void add_field(field_table &t, field_kind k, u32 off, u32 size, u32 node_off = 0) {
    special_field f{k, off, size};
    f.node_off = node_off;
    ASSERT_TRUE(t.fields.push(f));
    t.kinds |= field_bit(k);
}


#define FIELD(kind, type, member) add_field(t, field_kind::kind, __builtin_offsetof(type, member), sizeof(type::member))

void fill_value_fields(field_table &t, bool percpu) {
    if (percpu) {
        FIELD(kptr_ref, value, own);
        return;
    }
    FIELD(spin_lock, value, lock);
    add_field(t, field_kind::list_head, __builtin_offsetof(value, list), 16, __builtin_offsetof(thing, list));
    add_field(t, field_kind::rb_root, __builtin_offsetof(value, tree), 16, __builtin_offsetof(thing, tree));
    FIELD(kptr_ref, value, own);
    FIELD(kptr_percpu, value, percpu);
    FIELD(timer, value, timer);
    FIELD(workqueue, value, work);
}

void fill_thing_fields(field_table &t) {
    FIELD(list_node, thing, list);
    FIELD(rb_node, thing, tree);
    FIELD(kptr_ref, thing, next);
    FIELD(refcount, thing, refs);
}

// Programs of the tests: counted numbers.
struct fake_program {
    std::atomic<int> refs{1};
    std::atomic<int> calls{0};
    void (*callback)(fake_program *p, const u64 (&args)[3]) = nullptr;
};
thread_local void *running_timer;
fake_program *program_of(void *p) { return static_cast<fake_program *>(p); }

constinit const async_hooks fake_hooks = {
    [](void *p) {
        int n = program_of(p)->refs;
        while (n)
            if (program_of(p)->refs.compare_exchange_weak(n, n + 1))
                return true;
        return false;
    },
    [](void *p) { program_of(p)->refs--; },
    [](void *p, u64 fn, const u64 (&args)[3], void *timer, bool sleeps) {
        EXPECT_EQ(fn, 7u);
        void *outer = running_timer;
        running_timer = sleeps ? nullptr : timer;
        if (program_of(p)->callback)
            program_of(p)->callback(program_of(p), args);
        program_of(p)->calls++;
        running_timer = outer;
    },
    [] { return running_timer; },
};

struct release : testing::Test {
    void SetUp() override {
        map_gone_hook = map_free_hook = nullptr;
        bugs = port_user_bug_count();
        grave_init();
        async_progs = fake_hooks;
        ASSERT_TRUE(async_prepare());
        field_table t;
        fill_thing_fields(t);
        auto made = object_type::create(sizeof(thing), false, &t, nullptr);
        ASSERT_TRUE(made.ok());
        type = *made;
        auto plain = object_type::create(24, true, nullptr, nullptr);
        ASSERT_TRUE(plain.ok());
        percpu = *plain;
    }
    void TearDown() override {
        map_free_barrier();
        grave_barrier();
        EXPECT_EQ(cache_pieces_out(), 0u);
        EXPECT_EQ(type->refs(), 1u);
        type = percpu = {};
        caches_free();
        EXPECT_EQ(port_user_bug_count(), bugs);
        map_gone_hook = gone, map_free_hook = freed;
    }
    thing *make_thing() { return static_cast<thing *>(object_new(type.get())); }

    /// A map whose values are `value`s. User space has it until drop().
    map *make_map(u32 map_type, u32 flags = 0) {
        map_params p = params_of(map_type, 4, sizeof(value), 4, flags);
        auto made = find_map_ops(map_type)->create(p);
        EXPECT_TRUE(made.ok());
        auto *t = make<field_table>(PORT_SLEEPING);
        fill_value_fields(*t, (*made)->percpu());
        (*made)->fields = t;
        (*made)->user_get();
        return *made;
    }
    void drop(map *m) {
        const field_table *t = m->fields;
        m->user_put();
        m->put();
        map_free_barrier();
        destroy(const_cast<field_table *>(t));
    }
    static value *find(map *m, u32 key) {
        return static_cast<value *>(m->ops->lookup(m, &key));
    }
    static value *insert(map *m, u32 key) {
        value v{};
        v.data = key;
        rcu_read_guard rcu;
        EXPECT_EQ(m->ops->update_user ? m->ops->update(m, &key, &v, BPF_ANY) : -1, 0);
        return find(m, key);
    }
    /// Things in every place of the value.
    void fill(value *v) {
        v->own = make_thing();
        v->percpu = object_new(percpu.get());
        auto less = [](void *, tree_item *a, tree_item *b) { return a < b; };
        for (u32 i = 0; i < 3; i++) {
            EXPECT_TRUE(list_add(v->list, make_thing()->list, i & 1));
            thing *both = make_thing();
            EXPECT_TRUE(object_hold(both));
            EXPECT_TRUE(list_add(v->list, both->list, false));
            EXPECT_TRUE(tree_add(v->tree, both->tree, less, nullptr));
        }
    }

    ref<object_type> type, percpu;
    u64 bugs = 0;
    const map_hook gone = map_gone_hook, freed = map_free_hook; ///< those of other folders' tests
};

constexpr u32 own_types[] = {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH};

TEST_F(release, objects_are_zeroed_and_counted) {
    thing *t = make_thing();
    ASSERT_NE(t, nullptr);
    EXPECT_EQ(t->refs, 1u);
    EXPECT_EQ(t->data, 0u);
    EXPECT_EQ(object_type_of(t), type.get());
    t->data = 5;
    EXPECT_TRUE(object_hold(t));
    object_drop(t);
    EXPECT_EQ(cache_pieces_out(), 1u);
    object_drop(t);
    EXPECT_FALSE(object_hold(t)); // it is on its way, and still there for readers
    grave_barrier();
    EXPECT_EQ(cache_pieces_out(), 0u);
}

TEST_F(release, a_chain_of_any_length) {
    thing *first = nullptr;
    for (u32 i = 0; i < 2000; i++) {
        thing *t = make_thing();
        ASSERT_NE(t, nullptr);
        t->next = first;
        first = t;
    }
    object_drop(first);
    grave_barrier();
    EXPECT_EQ(cache_pieces_out(), 0u);
}

/// An object of the kernel's is let go in the call; nothing of it waits for the worker.
TEST_F(release, kernel_objects_at_once) {
    btf_builder b;
    u32 mask = b.composite(btf_kind::structure, "bpf_cpumask", 8, {});
    btf_answer a = load_btf(b.bytes());
    ASSERT_EQ(a.err, 0) << a.log;
    a.types->kernel = true;
    field_table t;
    special_field f{field_kind::kptr_ref, 8, 8};
    f.types = a.types.get(), f.type_id = mask;
    ASSERT_TRUE(t.fields.push(f));
    t.kinds = field_bit(f.kind);
    auto made = object_type::create(16, false, &t, nullptr);
    ASSERT_TRUE(made.ok());
    thing *held = make_thing();
    for (u32 i = 0; i < 1000; i++) {
        auto **holder = static_cast<thing **>(object_new(made->get()));
        ASSERT_NE(holder, nullptr);
        EXPECT_TRUE(object_hold(held));
        holder[1] = held;
        object_drop(holder);
        ASSERT_EQ(held->refs, 1u) << i;
    }
    object_drop(held);
    grave_barrier();
    a.types->kernel = false;
}

TEST_F(release, readers_keep_the_memory_of_what_they_see) {
    thing *t = make_thing();
    t->data = 99;
    port_rcu_read_lock();
    object_drop(t);
    for (u32 i = 0; i < 100; i++) // would take the same memory if it were free
        object_drop(make_thing());
    EXPECT_EQ(t->data, 99u);
    port_rcu_read_unlock();
}

TEST_F(release, percpu_objects_have_a_copy_each) {
    void *o = object_new(percpu.get());
    for (u32 cpu = 0; cpu < port_cpu_count(); cpu++)
        *static_cast<u64 *>(object_on_cpu(o, cpu)) = cpu;
    for (u32 cpu = 0; cpu < port_cpu_count(); cpu++)
        EXPECT_EQ(*static_cast<u64 *>(object_on_cpu(o, cpu)), cpu);
    object_drop(o);
}

TEST_F(release, memory_runs_out_and_comes_back) {
    std::vector<thing *> all;
    for (u32 i = 0; i < 1 << 20; i++) {
        thing *t = make_thing();
        if (!t)
            break; // the reserve is used up; the work has not run yet
        all.push_back(t);
    }
    EXPECT_GE(all.size(), 1000u);
    for (thing *t : all)
        object_drop(t);
    grave_barrier();
    thing *t = make_thing();
    EXPECT_NE(t, nullptr);
    object_drop(t);
}

TEST_F(release, with_the_map) {
    for (u32 t : own_types)
        for (u32 flags : {0u, t == BPF_MAP_TYPE_HASH ? static_cast<u32>(BPF_F_NO_PREALLOC) : 0u}) {
            map *m = make_map(t, flags);
            fill(insert(m, 1));
            fill(insert(m, 2));
            drop(m);
            grave_barrier();
            EXPECT_EQ(cache_pieces_out(), 0u) << t;
        }
}

TEST_F(release, with_the_element) {
    for (u32 t : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH}) {
        map *m = make_map(t);
        fill(insert(m, 1));
        u32 key = 1;
        EXPECT_EQ(m->ops->remove_user(m, &key), 0);
        grave_barrier();
        EXPECT_EQ(cache_pieces_out(), 0u) << t;
        // What comes in its place has nothing.
        value *v = insert(m, 3);
        EXPECT_EQ(v->own, nullptr);
        EXPECT_EQ(list_take(v->list, false), nullptr);
        drop(m);
    }
}

TEST_F(release, with_an_update) {
    for (u32 t : own_types) {
        map *m = make_map(t);
        fill(insert(m, 1));
        value *v = insert(m, 1);
        EXPECT_EQ(v->own, nullptr);
        EXPECT_EQ(v->tree.first, nullptr);
        EXPECT_EQ(v->data, 1u);
        grave_barrier();
        EXPECT_EQ(cache_pieces_out(), 0u) << t;
        drop(m);
    }
}

/// A program changes its CPU's value, user space those of all.
TEST_F(release, with_an_update_in_place) {
    for (u32 t : {BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY}) {
        map *m = make_map(t);
        u32 key = 1;
        std::vector<value> all(port_cpu_count());
        EXPECT_EQ(m->ops->update_user(m, &key, all.data(), BPF_ANY), 0);
        auto each_cpu = [&](auto fn) {
            for (u32 cpu = 0; cpu < port_cpu_count(); cpu++)
                fn(static_cast<value *>(m->ops->lookup_percpu(m, &key, cpu)));
        };
        each_cpu([&](value *v) { v->own = make_thing(); });
        {
            program_section p;
            EXPECT_EQ(m->ops->update(m, &key, all.data(), BPF_EXIST), 0);
            EXPECT_EQ(find(m, key)->own, nullptr) << t;
        }
        u32 left = 0;
        each_cpu([&](value *v) { left += v->own != nullptr; });
        EXPECT_EQ(left, port_cpu_count() - 1) << t;
        EXPECT_EQ(m->ops->update_user(m, &key, all.data(), BPF_EXIST), 0);
        each_cpu([&](value *v) { EXPECT_EQ(v->own, nullptr) << t; });
        grave_barrier();
        EXPECT_EQ(cache_pieces_out(), 0u) << t;
        drop(m);
    }
}

TEST_F(release, with_an_eviction) {
    map *m = make_map(BPF_MAP_TYPE_LRU_HASH);
    for (u32 key = 0; key < 100; key++)
        fill(insert(m, key));
    drop(m);
    grave_barrier();
    EXPECT_EQ(cache_pieces_out(), 0u);
}

/// A program may put a pointer into an element that has left the map under its feet.
TEST_F(release, what_was_put_into_an_element_that_is_gone) {
    for (u32 t : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH}) {
        map *m = make_map(t);
        u32 key = 1;
        std::vector<value> all(port_cpu_count());
        preempt_guard here;
        {
            rcu_read_guard rcu;
            ASSERT_EQ(m->ops->update(m, &key, all.data(), BPF_ANY), 0);
        }
        value *v = find(m, key);
        ASSERT_NE(v, nullptr);
        {
            rcu_read_guard rcu;
            ASSERT_EQ(m->ops->remove(m, &key), 0);
        }
        v->own = make_thing();
        port_preempt_enable();
        drop(m);
        port_preempt_disable();
    }
}

// ---- timers and works -----------------------------------------------------------------------------------------------------------------

void wait_for_calls(fake_program &p, int n) {
    for (u32 i = 0; i < 5000 && p.calls < n; i++)
        usleep(1000);
    EXPECT_GE(p.calls, n);
}

constexpr u32 monotonic = 1;

TEST_F(release, timers_fire_once_and_hold_their_program) {
    for (u32 t : own_types) {
        map *m = make_map(t);
        fake_program p;
        p.callback = [](fake_program *, const u64 (&args)[3]) {
            EXPECT_EQ(*ptr_of<u32>(args[1]), 2u); // the key
            EXPECT_EQ(ptr_of<value>(args[2])->data, 2u);
        };
        value *v = insert(m, 2);
        EXPECT_EQ(timer_start(v->timer, 0, false, false), -EINVAL);
        EXPECT_EQ(async_set_callback(v->timer, 7, &p), -EINVAL);
        EXPECT_EQ(timer_cancel(v->timer), -EINVAL);
        EXPECT_EQ(async_init(v->timer, m, v, async_kind::timer, monotonic), 0);
        EXPECT_EQ(async_init(v->timer, m, v, async_kind::timer, monotonic), -EBUSY);
        EXPECT_EQ(timer_start(v->timer, 0, false, false), -EINVAL);
        EXPECT_EQ(async_set_callback(v->timer, 7, &p), 0);
        EXPECT_EQ(p.refs, 2);
        EXPECT_EQ(timer_start(v->timer, 1000000, false, false), 0);
        wait_for_calls(p, 1);
        EXPECT_EQ(timer_cancel(v->timer), 0);
        EXPECT_EQ(p.refs, 1);
        EXPECT_EQ(timer_start(v->timer, 0, false, false), -EINVAL); // its callback is gone
        EXPECT_EQ(async_set_callback(v->timer, 7, &p), 0);
        EXPECT_EQ(timer_start(v->timer, 60000000000, false, false), 0);
        EXPECT_EQ(timer_cancel(v->timer), 1);
        EXPECT_EQ(async_set_callback(v->timer, 7, &p), 0);
        EXPECT_EQ(timer_start(v->timer, port_ktime_ns() + 1000000, true, true), 0);
        wait_for_calls(p, 2);
        drop(m);
        EXPECT_EQ(p.refs, 1);
        EXPECT_EQ(p.calls, 2);
    }
}

TEST_F(release, works_run_and_hold_their_program) {
    for (u32 t : own_types) {
        map *m = make_map(t);
        fake_program p;
        value *v = insert(m, 2);
        EXPECT_EQ(work_start(v->work), -EINVAL);
        EXPECT_EQ(async_init(v->work, m, v, async_kind::work, 0), 0);
        EXPECT_EQ(async_set_callback(v->work, 7, &p), 0);
        EXPECT_EQ(work_start(v->work), 0);
        wait_for_calls(p, 1);
        drop(m);
        grave_barrier();
        EXPECT_EQ(p.refs, 1);
    }
}

/// Close of the map's last fd stops the timers, and no callback can be set any more.
TEST_F(release, timers_go_with_the_last_user) {
    map *m = make_map(BPF_MAP_TYPE_HASH);
    fake_program p;
    value *v = insert(m, 1);
    ASSERT_EQ(async_init(v->timer, m, v, async_kind::timer, monotonic), 0);
    ASSERT_EQ(async_set_callback(v->timer, 7, &p), 0);
    ASSERT_EQ(timer_start(v->timer, 20000000, false, false), 0);
    m->user_put();
    EXPECT_EQ(p.refs, 1);
    usleep(40000);
    EXPECT_EQ(p.calls, 0);
    EXPECT_EQ(async_init(v->timer, m, v, async_kind::timer, monotonic), -EPERM);
    EXPECT_EQ(v->timer.task, nullptr);
    m->user_get();
    drop(m);
}

/// As above, but the callback runs at that time: the release waits for its end.
TEST_F(release, the_last_user_waits_for_the_callback) {
    map *m = make_map(BPF_MAP_TYPE_ARRAY);
    fake_program p;
    static std::atomic<bool> in, out;
    in = out = false;
    p.callback = [](fake_program *, const u64 (&)[3]) {
        in = true;
        usleep(20000);
        out = true;
    };
    value *v = insert(m, 1);
    ASSERT_EQ(async_init(v->timer, m, v, async_kind::timer, monotonic), 0);
    ASSERT_EQ(async_set_callback(v->timer, 7, &p), 0);
    ASSERT_EQ(timer_start(v->timer, 0, false, false), 0);
    while (!in)
        usleep(100);
    m->user_put();
    EXPECT_TRUE(out);
    m->user_get();
    drop(m);
}

TEST_F(release, a_callback_may_not_wait_for_itself) {
    map *m = make_map(BPF_MAP_TYPE_ARRAY);
    fake_program p;
    static long said;
    said = 0;
    p.callback = [](fake_program *, const u64 (&args)[3]) {
        said = timer_cancel(ptr_of<value>(args[2])->timer);
        release_fields(*ptr_of<map>(args[0])->fields, ptr_of<value>(args[2])); // as when it deletes its element
    };
    value *v = insert(m, 1);
    ASSERT_EQ(async_init(v->timer, m, v, async_kind::timer, monotonic), 0);
    ASSERT_EQ(async_set_callback(v->timer, 7, &p), 0);
    ASSERT_EQ(timer_start(v->timer, 0, false, false), 0);
    wait_for_calls(p, 1);
    EXPECT_EQ(said, -EDEADLK);
    drop(m);
    EXPECT_EQ(p.refs, 1);
}

/// A work's callback may delete the element that the work is in.
TEST_F(release, a_work_may_let_itself_go) {
    map *m = make_map(BPF_MAP_TYPE_HASH);
    fake_program p;
    p.callback = [](fake_program *, const u64 (&args)[3]) {
        map *of = ptr_of<map>(args[0]);
        u32 key = *ptr_of<u32>(args[1]);
        rcu_read_guard rcu;
        EXPECT_EQ(of->ops->remove(of, &key), 0);
    };
    value *v = insert(m, 1);
    ASSERT_EQ(async_init(v->work, m, v, async_kind::work, 0), 0);
    ASSERT_EQ(async_set_callback(v->work, 7, &p), 0);
    ASSERT_EQ(work_start(v->work), 0);
    wait_for_calls(p, 1);
    drop(m);
    grave_barrier();
    EXPECT_EQ(p.refs, 1);
}

/// All at once on one element from several threads: nothing leaks, nothing is used behind its end.
TEST_F(release, races) {
    for (u32 t : own_types) {
        map *m = make_map(t);
        fake_program p;
        std::atomic<bool> stop{false};
        std::vector<std::thread> threads;
        for (u32 n = 0; n < 3; n++)
            threads.emplace_back([&, n] {
                std::mt19937 random(n);
                while (!stop) {
                    u32 key = random() % 3;
                    preempt_guard here;
                    rcu_read_guard rcu;
                    value *v = find(m, key);
                    if (!v) {
                        value fresh{};
                        (void)m->ops->update(m, &key, &fresh, BPF_ANY);
                        continue;
                    }
                    switch (random() % 8) {
                    case 0: (void)async_init(v->timer, m, v, async_kind::timer, monotonic); break;
                    case 1: (void)async_set_callback(v->timer, 7, &p); break;
                    case 2: (void)timer_start(v->timer, random() % 100000, false, false); break;
                    case 3: (void)timer_cancel(v->timer); break;
                    case 4:
                        (void)async_init(v->work, m, v, async_kind::work, 0);
                        (void)async_set_callback(v->work, 7, &p);
                        (void)work_start(v->work);
                        break;
                    case 5: {
                        thing *fresh = make_thing();
                        if (void *old = __atomic_exchange_n(&v->own, static_cast<void *>(fresh), __ATOMIC_ACQ_REL))
                            object_drop(old);
                        break;
                    }
                    default:
                        if (t != BPF_MAP_TYPE_ARRAY)
                            (void)m->ops->remove(m, &key);
                        else
                            release_value(m, v);
                    }
                }
            });
        usleep(300000);
        stop = true;
        for (std::thread &th : threads)
            th.join();
        drop(m);
        grave_barrier();
        EXPECT_EQ(p.refs, 1);
        EXPECT_EQ(cache_pieces_out(), 0u);
    }
}

} // namespace
