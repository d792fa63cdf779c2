// SPDX-License-Identifier: GPL-2.0-only
// BTF_LOAD.
#include "btf/fields.h"
#include "cmd/attr.h"
#include "prog/files.h"

namespace modbpf {

namespace {

constexpr u32 max_btf_size = 16 << 20; // BTF_MAX_SIZE

result<ref<btf>> parse(const btf_load_attr &a, verifier_log &log) {
    vec<u8> data;
    TRY(data.resize(a.btf_size));
    if (a.btf_size && port_copy_from_user(data.data(), a.btf, a.btf_size))
        return error(EFAULT);
    ref<btf> b = TRY(btf::parse(move(data), log));
    result<ref<btf>> kernel = btf::vmlinux();
    TRY(check_object_structs(*b, kernel.ok() ? kernel->get() : nullptr));
    return b;
}

/// The log is finished whatever the verdict, and its true size written back if the caller's attr has the field.
result<ref<btf>> load(const attr_view &v) {
    const auto &a = v.as<btf_load_attr>();
    if (a.btf_size > max_btf_size)
        return error(E2BIG);
    verifier_log log;
    TRY(log.init(a.log_level, a.log_buf, a.log_size));
    result<ref<btf>> b = parse(a, log);
    u32 true_size = 0;
    status logged = log.finalize(&true_size);
    constexpr u32 at = __builtin_offsetof(btf_load_attr, log_true_size);
    if (v.size >= at + sizeof(u32) && v.put(at, true_size))
        return error(EFAULT);
    if (!logged.ok())
        return logged.err();
    return b;
}

}  // namespace

/// Before the first id of a program's types is given, or any is asked for, as if the kernel had loaded its own at boot.
status name_kernel_types() {
    mutex_guard g(core->kernel_btf_lock);
    auto skip_absent = [](error e) { return e.code() == ENOENT ? status() : status(e); };
    result<ref<btf>> kernel = btf::vmlinux();
    if (!kernel)
        return skip_absent(kernel.err());
    auto modules = btf::modules();
    if (!modules)
        return skip_absent(modules.err());
    if (!(*kernel)->id)
        TRY(core->btfs.add(kernel->get(), &(*kernel)->id));
    for (const ref<btf> &b : *modules)
        if (!b->id)
            TRY(core->btfs.add(b.get(), &b->id));
    return {};
}

bool btf_load_early(const attr_view &v) { return !(v.as<btf_load_attr>().flags & ~static_cast<u32>(BPF_F_TOKEN_FD)); }

long btf_new_fd(ref<btf> b) {
    int fd = port_fd_create(&btf_file_ops, b.get(), PORT_FD_CLOEXEC | PORT_FD_RDONLY);
    if (fd >= 0)
        (void)b.release();
    return fd;
}

long cmd_btf_load(const attr_view &v) {
    const auto &a = v.as<btf_load_attr>();
    if (a.flags & BPF_F_TOKEN_FD)
        return token_error(a.token_fd);
    if (!port_capable(PORT_CAP_BPF))
        return -EPERM;
    if (status named = name_kernel_types(); !named)
        return named.code();
    result<ref<btf>> b = load(v);
    if (!b)
        return b.code();
    status known = core->btfs.add(b->get(), &(*b)->id);
    return known.ok() ? btf_new_fd(move(*b)) : known.code();
}

}  // namespace modbpf
