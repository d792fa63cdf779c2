// SPDX-License-Identifier: GPL-2.0-only
// What a pinned map reads as: its elements, by the types that it was made with.
//
// Behaviour: Linux 6.12's bpffs_map_fops and map_seq_show_elem, but special fields (locks, timers, kptrs), which are zero here as in every
// value that user space gets: Linux shows what they hold.
#include "btf/show.h"
#include "prog/files.h"

namespace modbpf {

namespace {

constexpr u32 text_flags = BTF_F_COMPACT | BTF_F_NONAME | BTF_F_ZERO;
constexpr size_t text_size = 4 * PORT_PAGE_SIZE; ///< at first; an element whose text is longer gets as much as it takes
constexpr u32 max_shown = 10000;                 ///< elements in one read: many may have gone when their turn comes

/// How the elements of a type are written; null where they are not.
struct element_style {
    u32 type;
    bool keyed;     ///< the key by its type, not as an index
    bool per_cpu;
    bool always;    ///< its index, whether it has a type or not
};
constexpr element_style styles[] = {
    {BPF_MAP_TYPE_ARRAY, false, false, false},
    {BPF_MAP_TYPE_PERCPU_ARRAY, false, true, true},
    {BPF_MAP_TYPE_PROG_ARRAY, false, false, true},
    {BPF_MAP_TYPE_HASH, true, false, true},
    {BPF_MAP_TYPE_LRU_HASH, true, false, true},
    {BPF_MAP_TYPE_PERCPU_HASH, true, true, true},
    {BPF_MAP_TYPE_LRU_PERCPU_HASH, true, true, true},
};
const element_style *style_of(const map *m) {
    for (const element_style &s : styles)
        if (s.type == m->params.type)
            return &s;
    return nullptr;
}

struct text_session {
    map *of = nullptr; ///< a user reference
    const element_style *style = nullptr;
    mutex lock{"map_text"}; ///< all that follows; task context
    vec<u8> key, value;
    vec<char> text;
    size_t from = 0, count = 0; ///< of the text: what was read, and what is there behind it
    bool begun = false, ended = false;

    ~text_session() {
        if (of)
            map_put_user(of);
    }
    const btf &types() const { return *static_cast<const btf *>(of->btf_ref); }
};

void show(const text_session &s, u32 type, const u8 *object, text_out &out) {
    (void)btf_show(s.types(), type, addr_of(object), text_flags, out);
}

void write_element(const text_session &s, text_out &out) {
    const map &m = *s.of;
    if (s.style->keyed) {
        show(s, m.btf_key_type_id, s.key.data(), out);
        out.put(": ");
    } else if (s.style->always || m.btf_key_type_id) {
        u32 index;
        memcpy(&index, s.key.data(), sizeof(index));
        out.put_number(index);
        out.put(": ");
    }
    if (!s.style->per_cpu) {
        show(s, m.btf_value_type_id, s.value.data(), out);
        out.put('\n');
        return;
    }
    out.put("{\n");
    for (u32 cpu = 0; cpu < port_cpu_count(); cpu++) {
        out.put("\tcpu");
        out.put_number(cpu);
        out.put(": ");
        show(s, m.btf_value_type_id, s.value.data() + align_up(m.params.value_size, 8) * cpu, out);
        out.put('\n');
    }
    out.put("}\n");
}

/// Adds the text that `write` makes. False: there is no room, behind what is there, or no memory (*rc).
template <class F> bool add(text_session &s, long *rc, F write) {
    for (;;) {
        text_out out(s.text.data() + s.count, static_cast<u32>(s.text.size() - s.count));
        write(out);
        if (!out.full()) {
            s.count += out.length();
            return true;
        }
        if (s.count)
            return false;
        if (!s.text.resize(out.length() + 1).ok()) {
            *rc = -ENOMEM;
            return false;
        }
    }
}

bool begin(text_session &s, long *rc) {
    s.begun = add(s, rc, [](text_out &out) {
        out.put("# WARNING!! The output is for debug purpose only\n# WARNING!! The output format will change\n");
    });
    s.ended = s.begun && s.of->ops->next_key(s.of, nullptr, s.key.data()) != 0;
    return s.begun;
}

/// Text for at least `wanted` bytes, if there is so much.
long fill(text_session &s, size_t wanted) {
    long rc = 0;
    s.from = s.count = 0;
    if (!s.begun && !begin(s, &rc))
        return rc;
    for (u32 shown = 0; !s.ended && s.count < wanted && (shown < max_shown || !s.count); shown++) {
        bool there = !s.of->ops->lookup_user(s.of, s.key.data(), s.value.data(), 0);
        if (there && !add(s, &rc, [&](text_out &out) { write_element(s, out); }))
            return rc;
        s.ended = s.of->ops->next_key(s.of, s.key.data(), s.key.data()) != 0;
        port_cond_resched();
        if (port_signal_pending())
            return s.count ? 0 : -EINTR;
    }
    return 0;
}

long read(void *obj, u64 to, size_t size) {
    auto &s = *static_cast<text_session *>(obj);
    mutex_guard g(s.lock);
    if (!s.count)
        if (long rc = fill(s, size))
            return rc;
    size_t n = min(s.count, size);
    if (n && port_copy_to_user(to, s.text.data() + s.from, n))
        return -EFAULT;
    s.from += n;
    s.count -= n;
    return static_cast<long>(n);
}

void release(void *obj) { destroy(static_cast<text_session *>(obj)); }

}  // namespace

constinit const port_file_ops map_text_ops = {
    .name = "map-text",
    .release = release,
    .read = read,
};

int map_open_text(void *obj, const port_file_ops **as, void **opened) {
    auto *m = static_cast<map *>(obj);
    const element_style *style = style_of(m);
    if (!style || !m->btf_ref)
        return -EIO;
    own<text_session> s(make<text_session>(PORT_SLEEPING));
    if (!s || !s->key.resize(m->params.key_size).ok() || !s->value.resize(m->user_value_size()).ok() || !s->text.resize(text_size).ok())
        return -ENOMEM;
    s->of = m;
    map_get_user(m);
    s->style = style;
    *as = &map_text_ops;
    *opened = s.release();
    return 0;
}

}  // namespace modbpf
