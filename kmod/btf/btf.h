// SPDX-License-Identifier: GPL-2.0-only
// btf: parsed BTF type information: validated once at load, then looked up. Format: docs.kernel.org/bpf/btf.html.
//
// A btf object is immutable after parse() and reference-counted; it stands behind a "btf" fd or wraps the kernel's own
// (vmlinux). What parse() accepts has only ids and name offsets in range, sizes that fit their structures and no cycle of
// modifiers or arrays. The kernel's own is only scanned for its type boundaries: look-ups check every id and bound every walk.
// A module's types are split: their ids and names go on where the kernel's end, and they refer to those.
// Look-ups: any context. dispose: task or atomic context; memory goes after an RCU grace period.
#pragma once

#include "base/bpf.h"
#include "base/memory.h"
#include "base/vec.h"
#include "base/log.h"

namespace modbpf {

enum class btf_kind : u8 {
    unknown, integer, pointer, array, structure, union_, enum_, forward, typedef_, volatile_, const_, restrict_, func,
    func_proto, var, datasec, float_, decl_tag, type_tag, enum64,
};

/// struct btf_type of the format.
struct btf_type {
    u32 name_off;
    u32 info;
    u32 size_or_type;
    btf_kind kind() const { return static_cast<btf_kind>(info >> 24 & 0x1f); }
    u32 vlen() const { return info & 0xffff; }
    bool kind_flag() const { return info >> 31; }

    bool is_modifier() const {
        btf_kind k = kind();
        return k == btf_kind::typedef_ || k == btf_kind::volatile_ || k == btf_kind::const_ || k == btf_kind::restrict_ ||
               k == btf_kind::type_tag;
    }
    bool is_composite() const { return kind() == btf_kind::structure || kind() == btf_kind::union_; }
    bool is_enum() const { return kind() == btf_kind::enum_ || kind() == btf_kind::enum64; }
    /// size_or_type is a size.
    bool has_size() const {
        btf_kind k = kind();
        return k == btf_kind::integer || is_composite() || is_enum() || k == btf_kind::datasec || k == btf_kind::float_;
    }
};
/// Bytes behind a btf_type of this kind and vlen; false for a kind that does not exist.
bool btf_tail_size(btf_kind kind, u32 vlen, u32 *bytes);

struct btf_member;

class btf : public refcounted<btf> {
public:
    /// Parses and validates as BTF_LOAD does; the log gets Linux's text on refusal. Takes over `data`. EINVAL, E2BIG, ENOMEM...
    static result<ref<btf>> parse(vec<u8> data, verifier_log &log);
    /// The running kernel's own types, or ENOENT. Parsed at the first call, kept; trusted, so only structurally scanned.
    static result<ref<btf>> vmlinux();
    /// The same, if that call was there before; null otherwise. Any context.
    static const btf *vmlinux_parsed();
    /// Types of the kernel's modules that are loaded now, scanned like the kernel's own. ENOENT: there are none at all. Task context.
    static result<vec<ref<btf>>> modules();
    /// Types of a module, split off `base`, which has to stay. EINVAL: they are not well-formed.
    static result<ref<btf>> split(const btf &base, const char *name, vec<u8> bytes);
    static void release_kernel(); ///< the kernel's and its modules': at module exit
    static void dispose(btf *b);
    ~btf() { port_module_put(module_); }

    u32 type_count() const { return start_id_ + static_cast<u32>(offsets_.size()); } ///< ids are 0 (void) .. count-1
    /// The id of the first type that is not the base's: 0 where there is no base.
    u32 start_id() const { return start_id_; }
    bool is_module() const { return base_; }
    port_module *module() const { return module_; } ///< whose they are; null: none's that is followed
    /// Null for id 0 and ids out of range.
    const btf_type *type(u32 id) const;
    /// "" for offset 0; null when out of range.
    const char *string(u32 off) const;
    const char *name(u32 id) const;
    /// Data behind a btf_type: members, parameters, array description...
    template <class T> const T *tail(const btf_type *t) const { return reinterpret_cast<const T *>(t + 1); }
    /// A structure's or union's own member with this name, or null.
    const btf_member *member(const btf_type *t, const char *name, size_t len) const;
    /// Where a member of `holder` lies, in bytes. False: it is a bit field, or has no size.
    bool bytes_of(const btf_type *holder, const btf_member *m, u32 *at, u32 *size) const;
    /// First id with this kind and name, or 0.
    u32 find(const char *name, btf_kind kind) const;
    u32 find_own(const char *name, btf_kind kind) const; ///< not among the base's
    /// Next id behind `after`, not among the base's, whose name begins with these `len` characters, without a flavor (CO-RE); 0: none.
    u32 next_candidate(u32 after, const char *name, size_t len, btf_kind kind) const;
    /// The next declaration tag, from *at on (0: the first, one of the base), on `owner` or its member or parameter `component` (-1: on
    /// itself) whose text begins with `prefix`. -> the text behind that, and *at is behind the tag; null: there is none.
    const char *next_tag(u32 *at, u32 owner, s32 component, const char *prefix) const;
    /// Follows typedef, const, volatile, restrict, type_tag. -> id, or 0 for void.
    u32 skip_modifiers(u32 id) const;
    /// Size in bytes of a complete type, through modifiers, variables and arrays; false when it has none.
    bool size_of(u32 id, u32 *size) const;
    /// Bytes of each argument of raw tracepoint `name` (typedef btf_trace_<name>), without the first (void *) one. -> count;
    /// ENOENT: no such tracepoint; EINVAL: not a function of at most 12 arguments of 1 to 8 bytes.
    result<u32> raw_tp_args(const char *name, u8 sizes[12]) const;

    span<const u8> data() const { return data_; }
    u32 id = 0;              ///< in the BTF id registry
    const u64 serial = next_serial(); ///< no other has had it: tells whether two types are of the same object, though one may be gone
    bool kernel = false;
    char module_name[64]{};  ///< "vmlinux" for the kernel's

private:
    static u64 next_serial();
    static result<ref<btf>> of_module(const btf &base, port_module *m);
    friend struct module_list;
    friend struct btf_parser;
    template <class T, class... A> friend T *make(port_alloc_ctx, A &&...);
    btf() = default;
    struct deferred {
        port_rcu_head head; ///< first: the callback gets its address
        btf *self;
    };
    result<bool> scan();
    status note_type(u32 at);
    status index_names();
    struct tag_place {
        u32 id, owner;
    };
    u32 tag_count() const { return (base_ ? base_->tag_count() : 0) + static_cast<u32>(decl_tags_.size()); }
    bool is_named(u32 id, const char *wanted, btf_kind kind) const;

    port_module *module_ = nullptr; ///< a reference
    const btf *base_ = nullptr; ///< of a module's: the kernel's own, which stays as long
    u32 start_id_ = 0;
    u32 start_str_ = 0; ///< offset of the first own string
    vec<u8> owned_;
    span<const u8> data_; ///< owned_, or the kernel's own for ever
    const u8 *types_ = nullptr;
    const char *strings_ = nullptr;
    u32 types_len_ = 0;
    u32 strings_len_ = 0;
    vec<u32> offsets_; ///< of each own type in types_, by id - start_id_; [0] unused where there is no base
    vec<tag_place> decl_tags_; ///< the own ones, with ascending ids
    vec<u32> first_;   ///< by hash of a name without flavor: first type id, or 0. Empty: no index, look-ups scan
    vec<u32> next_;    ///< by id - start_id_: the next one of the same hash, ascending
    deferred free_{};
};

/// Keeps a module loaded.
class module_hold {
public:
    module_hold() = default;
    /// False: it is gone.
    [[nodiscard]] bool take(port_module *m) {
        bool held = port_module_hold(m);
        if (held)
            m_ = m;
        return held;
    }
    module_hold(module_hold &&o) noexcept { swap(m_, o.m_); }
    module_hold &operator=(module_hold &&o) noexcept {
        swap(m_, o.m_);
        return *this;
    }
    ~module_hold() { port_module_release(m_); }
    port_module *get() const { return m_; }

private:
    port_module *m_ = nullptr;
};

/// Set once by cmd/ at start-up: the object leaves the id registry. btf::dispose calls it first; before, when its module has gone.
using btf_hook = void (*)(btf *b);
inline constinit btf_hook btf_gone_hook = nullptr;

}  // namespace modbpf
