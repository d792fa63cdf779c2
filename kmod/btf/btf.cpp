// SPDX-License-Identifier: GPL-2.0-only
// Look-ups in parsed BTF, and the kernel's own BTF.
#include "btf/btf.h"

#include "base/lock.h"
#include "btf/core_relo.h"
#include "btf/format.h"
#include "port/port.h"

namespace modbpf {
namespace {

/// The kernel's BTF once it was asked for; holds one reference.
constinit btf *kernel_types = nullptr;

}  // namespace

bool btf_tail_size(btf_kind kind, u32 vlen, u32 *bytes) {
    switch (kind) {
    case btf_kind::integer:
        *bytes = sizeof(btf_int_data);
        return true;
    case btf_kind::array:
        *bytes = sizeof(btf_array);
        return true;
    case btf_kind::structure:
    case btf_kind::union_:
        *bytes = vlen * sizeof(btf_member);
        return true;
    case btf_kind::enum_:
        *bytes = vlen * sizeof(btf_enum);
        return true;
    case btf_kind::enum64:
        *bytes = vlen * sizeof(btf_enum64);
        return true;
    case btf_kind::func_proto:
        *bytes = vlen * sizeof(btf_param);
        return true;
    case btf_kind::var:
        *bytes = sizeof(btf_var);
        return true;
    case btf_kind::datasec:
        *bytes = vlen * sizeof(btf_var_secinfo);
        return true;
    case btf_kind::decl_tag:
        *bytes = sizeof(btf_decl_tag);
        return true;
    case btf_kind::pointer:
    case btf_kind::forward:
    case btf_kind::typedef_:
    case btf_kind::volatile_:
    case btf_kind::const_:
    case btf_kind::restrict_:
    case btf_kind::type_tag:
    case btf_kind::func:
    case btf_kind::float_:
        *bytes = 0;
        return true;
    default:
        return false;
    }
}

const btf_type *btf::type(u32 id) const {
    if (id < start_id_)
        return base_->type(id);
    u32 i = id - start_id_;
    if (!id || i >= offsets_.size())
        return nullptr;
    return reinterpret_cast<const btf_type *>(types_ + offsets_[i]);
}

const char *btf::string(u32 off) const {
    if (off < start_str_)
        return base_->string(off);
    off -= start_str_;
    return off < strings_len_ ? strings_ + off : nullptr;
}

const char *btf::name(u32 id) const {
    const btf_type *t = type(id);
    return t ? string(t->name_off) : nullptr;
}

namespace {

/// Of a name without its flavor.
u32 name_hash(const char *s) {
    u32 h = 2166136261u; // FNV-1a
    for (size_t n = essential_length(s); n; n--, s++)
        h = (h ^ static_cast<u8>(*s)) * 16777619u;
    return h;
}

}  // namespace

bool btf::is_named(u32 id, const char *wanted, btf_kind kind) const {
    const btf_type *t = type(id);
    const char *n = t->kind() == kind ? string(t->name_off) : nullptr;
    return n && !strcmp(n, wanted);
}

const btf_member *btf::member(const btf_type *t, const char *name, size_t len) const {
    const btf_member *m = tail<btf_member>(t);
    for (u32 i = 0; i < t->vlen(); i++) {
        const char *n = string(m[i].name_off);
        if (n && !strncmp(n, name, len) && !n[len])
            return &m[i];
    }
    return nullptr;
}

bool btf::bytes_of(const btf_type *holder, const btf_member *m, u32 *at, u32 *size) const {
    bool kind_flag = holder->kind_flag();
    *at = m->bit_offset(kind_flag) / 8;
    return m->bit_offset(kind_flag) % 8 == 0 && !m->bitfield_size(kind_flag) && size_of(m->type, size);
}

u32 btf::find(const char *wanted, btf_kind kind) const {
    u32 in_base = base_ ? base_->find(wanted, kind) : 0;
    return in_base ? in_base : find_own(wanted, kind);
}

u32 btf::find_own(const char *wanted, btf_kind kind) const {
    if (!first_.empty()) {
        for (u32 id = first_[name_hash(wanted) & (first_.size() - 1)]; id; id = next_[id - start_id_])
            if (is_named(id, wanted, kind))
                return id;
        return 0;
    }
    for (u32 id = max(start_id_, 1u); id < type_count(); id++)
        if (is_named(id, wanted, kind))
            return id;
    return 0;
}

u32 btf::next_candidate(u32 after, const char *name_start, size_t len, btf_kind kind) const {
    bool indexed = !first_.empty();
    char essence[256];
    if (len >= sizeof(essence))
        return 0;
    memcpy(essence, name_start, len);
    essence[len] = 0;
    u32 id = !indexed ? max(after + 1, start_id_) : after ? next_[after - start_id_] : first_[name_hash(essence) & (first_.size() - 1)];
    for (; id && id < type_count(); id = indexed ? next_[id - start_id_] : id + 1) {
        const btf_type *t = type(id);
        const char *n = t->kind() == kind ? string(t->name_off) : nullptr;
        if (n && essential_length(n) == len && !strncmp(n, essence, len))
            return id;
    }
    return 0;
}

status btf::index_names() {
    size_t buckets = 1;
    while (buckets < offsets_.size())
        buckets *= 2;
    TRY(first_.resize(buckets));
    TRY(next_.resize(offsets_.size()));
    for (u32 id = type_count(); id-- > max(start_id_, 1u);) {
        const char *n = name(id);
        if (!n || !*n)
            continue;
        u32 &head = first_[name_hash(n) & (buckets - 1)];
        next_[id - start_id_] = head;
        head = id;
    }
    return {};
}

u32 btf::skip_modifiers(u32 id) const {
    for (u32 i = 0; i < type_count(); i++) { // no longer walk without a cycle; the kernel's own data is not checked for them
        const btf_type *t = type(id);
        if (!t)
            return 0;
        if (!t->is_modifier())
            return id;
        id = t->size_or_type;
    }
    return 0;
}

bool btf::size_of(u32 id, u32 *size) const {
    u64 elems = 1;
    for (u32 i = 0; i < type_count(); i++) {
        const btf_type *t = type(id);
        if (!t)
            return false;
        if (t->has_size() || t->kind() == btf_kind::pointer) {
            u64 bytes = elems * (t->has_size() ? t->size_or_type : 8);
            *size = static_cast<u32>(bytes);
            return bytes <= ~0u;
        }
        if (t->is_modifier() || t->kind() == btf_kind::var) {
            id = t->size_or_type;
        } else if (t->kind() == btf_kind::array) {
            const auto *a = tail<btf_array>(t);
            elems *= a->nelems; // both factors are below 2^32
            if (elems > ~0u)
                return false;
            id = a->type;
        } else {
            return false;
        }
    }
    return false;
}

result<u32> btf::raw_tp_args(const char *tp, u8 sizes[12]) const {
    char wanted[256];
    int n = port_snprintf(wanted, sizeof(wanted), "btf_trace_%s", tp);
    if (n < 0 || static_cast<u32>(n) >= sizeof(wanted))
        return error(ENOENT);
    const btf_type *t = type(find(wanted, btf_kind::typedef_));
    if (!t)
        return error(ENOENT);
    t = type(skip_modifiers(t->size_or_type));
    if (!t || t->kind() != btf_kind::pointer)
        return error(EINVAL);
    t = type(skip_modifiers(t->size_or_type));
    if (!t || t->kind() != btf_kind::func_proto || !t->vlen() || t->vlen() - 1 > 12)
        return error(EINVAL);
    const auto *params = tail<btf_param>(t);
    for (u32 i = 1; i < t->vlen(); i++) {
        u32 size;
        if (!size_of(params[i].type, &size) || !size || size > 8)
            return error(EINVAL);
        sizes[i - 1] = static_cast<u8>(size);
    }
    return t->vlen() - 1;
}

u64 btf::next_serial() {
    static constinit u64 last = 0;
    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

void btf::dispose(btf *b) {
    if (btf_gone_hook)
        btf_gone_hook(b);
    b->free_.self = b;
    port_rcu_call(&b->free_.head, [](port_rcu_head *head) { destroy(reinterpret_cast<deferred *>(head)->self); });
}

const char *btf::next_tag(u32 *at, u32 owner, s32 component, const char *prefix) const {
    u32 in_base = base_ ? base_->tag_count() : 0;
    if (*at < in_base)
        if (const char *text = base_->next_tag(at, owner, component, prefix))
            return text;
    size_t len = strlen(prefix);
    span<const tag_place> own = decl_tags_.view();
    for (u32 i = *at - in_base; i < own.size(); i++) {
        if (own[i].owner != owner || tail<btf_decl_tag>(type(own[i].id))->component_idx != component)
            continue;
        const char *text = name(own[i].id);
        if (!text || strncmp(text, prefix, len))
            continue;
        *at = in_base + i + 1;
        return text + len;
    }
    *at = in_base + static_cast<u32>(own.size());
    return nullptr;
}

/// The next type begins at `at`.
status btf::note_type(u32 at) {
    auto *t = reinterpret_cast<const btf_type *>(types_ + at);
    if (t->kind() == btf_kind::decl_tag)
        TRY(decl_tags_.push({type_count(), t->size_or_type}));
    return offsets_.push(at);
}

/// Finds the boundaries of the types of trusted data. False: it is not well-formed.
result<bool> btf::scan() {
    btf_header h;
    if (data_.size() < sizeof(h))
        return false;
    memcpy(&h, data_.data(), sizeof(h));
    u64 size = data_.size();
    u64 types = static_cast<u64>(h.hdr_len) + h.type_off, strings = static_cast<u64>(h.hdr_len) + h.str_off;
    if (h.magic != btf_magic || h.version != 1 || types + h.type_len > size || strings + h.str_len > size || !h.str_len ||
        data_[strings + h.str_len - 1])
        return false;
    types_ = data_.data() + types, types_len_ = h.type_len;
    strings_ = reinterpret_cast<const char *>(data_.data() + strings), strings_len_ = h.str_len;
    if (!base_)
        TRY(offsets_.push(0));
    for (u32 at = 0; at < types_len_;) {
        u32 left = types_len_ - at, tail_bytes;
        const auto *t = reinterpret_cast<const btf_type *>(types_ + at);
        if (left < sizeof(*t) || !btf_tail_size(t->kind(), t->vlen(), &tail_bytes) || left - sizeof(*t) < tail_bytes)
            return false;
        TRY(note_type(at));
        at += sizeof(*t) + tail_bytes;
    }
    return true;
}

result<ref<btf>> btf::vmlinux() {
    if (btf *known = __atomic_load_n(&kernel_types, __ATOMIC_ACQUIRE))
        return ref<btf>(known);
    const void *bytes;
    size_t size;
    if (port_vmlinux_btf(&bytes, &size))
        return error(ENOENT);
    own<btf> b(make<btf>(PORT_SLEEPING));
    if (!b)
        return error(ENOMEM);
    b->data_ = {static_cast<const u8 *>(bytes), size};
    b->kernel = true;
    memcpy(b->module_name, "vmlinux", sizeof("vmlinux"));
    if (!TRY(b->scan()))
        return error(ENOENT);
    TRY(b->index_names());
    // Two may get here at once: the first to publish wins, the other's copy goes.
    btf *expected = nullptr;
    if (!__atomic_compare_exchange_n(&kernel_types, &expected, b.get(), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return ref<btf>(expected);
    return ref<btf>(b.release());
}

const btf *btf::vmlinux_parsed() { return __atomic_load_n(&kernel_types, __ATOMIC_ACQUIRE); }

// ---- modules' ----

struct module_list {
    mutex lock{"module_btf"}; ///< all; task context
    u64 version = 0;          ///< of the port's list of modules, when `all` was made
    vec<ref<btf>> all;

    status refresh(const btf &base);
    ref<btf> known(const port_module *m) const {
        for (const ref<btf> &b : all)
            if (b->module() == m)
                return b;
        return {};
    }
};

namespace {

constinit module_list *module_types = nullptr;

result<module_list *> the_module_list() {
    if (module_list *known = __atomic_load_n(&module_types, __ATOMIC_ACQUIRE))
        return known;
    own<module_list> list(make<module_list>(PORT_SLEEPING));
    if (!list)
        return error(ENOMEM);
    module_list *expected = nullptr;
    if (!__atomic_compare_exchange_n(&module_types, &expected, list.get(), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return expected;
    return list.release();
}

/// A reference to a module that is loaded; it may go meanwhile.
class listed_module {
public:
    explicit listed_module(u32 index) : m_(port_module_at(index)) {}
    ~listed_module() { port_module_put(m_); }
    listed_module(const listed_module &) = delete;
    port_module *get() const { return m_; }
    port_module *release() {
        port_module *m = m_;
        m_ = nullptr;
        return m;
    }

private:
    port_module *m_;
};

}  // namespace

result<ref<btf>> btf::split(const btf &base, const char *name, vec<u8> bytes) {
    own<btf> b(make<btf>(PORT_SLEEPING));
    if (!b)
        return error(ENOMEM);
    b->base_ = &base;
    b->start_id_ = base.type_count();
    b->start_str_ = base.strings_len_;
    b->owned_ = move(bytes);
    b->data_ = b->owned_.view();
    b->kernel = true;
    port_snprintf(b->module_name, sizeof(b->module_name), "%s", name);
    if (!TRY(b->scan()))
        return error(EINVAL);
    TRY(b->index_names());
    return ref<btf>(adopt, b.release());
}

/// Takes the reference to the module over where it succeeds. ENOENT: it has no types, or is gone; EINVAL: they are not well-formed.
result<ref<btf>> btf::of_module(const btf &base, port_module *m) {
    vec<u8> bytes;
    long size = port_module_btf(m, nullptr, 0);
    if (size <= 0)
        return error(ENOENT);
    TRY(bytes.resize(static_cast<size_t>(size)));
    if (port_module_btf(m, bytes.data(), bytes.size()) != size)
        return error(ENOENT);
    ref<btf> b = TRY(split(base, port_module_name(m), move(bytes)));
    b->module_ = m;
    return b;
}

/// One that comes or goes meanwhile changes the version again.
status module_list::refresh(const btf &base) {
    u64 now = port_modules_version();
    if (version == now)
        return {};
    vec<ref<btf>> fresh;
    for (u32 i = 0;; i++) {
        listed_module m(i);
        if (!m.get())
            break;
        ref<btf> b = known(m.get());
        if (!b) {
            auto made = btf::of_module(base, m.get());
            if (!made.ok() && made.err().code() == ENOMEM)
                return error(ENOMEM);
            if (!made.ok())
                continue;
            b = move(*made);
            (void)m.release();
        }
        TRY(fresh.push(move(b)));
    }
    swap(all, fresh);
    version = now;
    for (const ref<btf> &b : fresh) // whoever has the types of a module that went keeps them, without an id
        if (!known(b->module()) && btf_gone_hook)
            btf_gone_hook(b.get());
    return {};
}

result<vec<ref<btf>>> btf::modules() {
    ref<btf> base = TRY(vmlinux());
    module_list *list = TRY(the_module_list());
    vec<ref<btf>> copy;
    mutex_guard g(list->lock);
    TRY(list->refresh(*base));
    for (const ref<btf> &b : list->all)
        TRY(copy.push(b));
    return copy;
}

void btf::release_kernel() {
    destroy(__atomic_exchange_n(&module_types, nullptr, __ATOMIC_ACQ_REL));
    if (btf *b = __atomic_exchange_n(&kernel_types, nullptr, __ATOMIC_ACQ_REL))
        b->put();
}

}  // namespace modbpf
