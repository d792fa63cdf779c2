// SPDX-License-Identifier: GPL-2.0-only
// snprintf_btf, seq_printf_btf: an object of the kernel as text.
#include "btf/show.h"
#include "helpers/families.h"
#include "helpers/helper.h"
#include "helpers/seq.h"

namespace modbpf {

namespace {

/// struct btf_ptr of the interface.
struct typed_object {
    u64 at;
    u32 type_id;
    u32 flags; ///< unused
};

/// 0, or why there is no text.
long write(u64 object, u32 size, u64 flags, text_out &out) {
    if (flags & ~u64{btf_show_flags} || size != sizeof(typed_object))
        return -EINVAL;
    const btf *types = btf::vmlinux_parsed();
    auto o = *ptr_of<const typed_object>(object);
    if (!types || !o.type_id)
        return -EINVAL;
    return types->type(o.type_id) ? btf_show(*types, o.type_id, o.at, flags, out).code() : -ENOENT;
}

}  // namespace

u64 bpf_snprintf_btf(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
    text_out out(ptr_of<char>(r1), static_cast<u32>(r2));
    long rc = write(r3, static_cast<u32>(r4), r5, out);
    return helper_errno(rc ? rc : static_cast<long>(out.finish()));
}

u64 bpf_seq_printf_btf(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    port_seq *seq = open_seq(r1);
    if (!seq)
        return helper_errno(-EINVAL);
    char *at;
    size_t room = port_seq_room(seq, &at);
    text_out out(at, static_cast<u32>(room));
    long rc = write(r2, static_cast<u32>(r3), r4, out);
    port_seq_commit(seq, out.length());
    return helper_errno(rc);
}

}  // namespace modbpf
