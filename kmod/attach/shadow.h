// SPDX-License-Identifier: GPL-2.0-only
// Shadows: memory that programs read as one of the running kernel's own BPF structures. It has that structure's size, the members that
// programs look for, found by name in the kernel's types, and zeros elsewhere, so that what is read behind any of its pointers is 0.
#pragma once

#include "base/memory.h"
#include "btf/btf.h"

namespace modbpf {

struct bpf_link;
struct map;
struct program;

/// One structure. Task context.
class shadow {
public:
    shadow() = default;
    ~shadow() { port_free(bytes_); }
    shadow(const shadow &) = delete;

    /// Zeros. ENOENT: the kernel has no such type; ENOMEM.
    status make(const char *structure);
    /// The member's value, cut to its size; nothing where the structure has no such member.
    void set(const char *member, const void *value, u32 size);
    template <class T> void set(const char *member, const T &value) { set(member, &value, sizeof(T)); }
    void *get() const { return bytes_; }

private:
    ref<btf> types_;
    const btf_type *type_ = nullptr;
    u8 *bytes_ = nullptr;
};

/// What a session shows of objects that are not the kernel's: one after the other in the same memory.
struct shadows {
    shadow map, prog, prog_aux, link;

    status make_map() { return map.make("bpf_map"); }
    status make_prog();
    status make_link();
    void *show(const modbpf::map &m);
    void *show(const program &p);
    void *show(bpf_link &l);
};

}  // namespace modbpf
