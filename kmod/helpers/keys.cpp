// SPDX-License-Identifier: GPL-2.0-only
// Keys, signatures, and extended attributes of files. Task context, but for system keyrings and for giving a reference back.
#include "helpers/dynptr.h"
#include "helpers/families.h"
#include "helpers/kfuncs.h"
#include "port/port.h"

namespace modbpf {

namespace {

/// A dynptr's bytes; null: it has none, or they are not in one piece.
void *bytes_of(const run_dynptr &d) { return d.data && d.in_memory() ? ptr_of<void>(d.at(0)) : nullptr; }

u64 xattr(u64 dentry, const char *name, const run_dynptr &value) {
    constexpr char prefix[] = "user."; // what is read may be told to anyone
    if (strncmp(name, prefix, sizeof(prefix) - 1))
        return kfunc_errno(EPERM);
    void *to = value.rdonly ? nullptr : bytes_of(value);
    if (!to)
        return kfunc_errno(EINVAL);
    return helper_errno(port_dentry_xattr(dentry, name, to, value.size));
}

} // namespace

/// get_dentry_xattr(entry, name, value)
u64 kfunc_get_dentry_xattr(u64 r1, u64 r2, u64 r3, u64, u64) { return xattr(r1, ptr_of<const char>(r2), *ptr_of<const run_dynptr>(r3)); }
/// get_file_xattr(file, name, value)
u64 kfunc_get_file_xattr(u64 r1, u64 r2, u64 r3, u64, u64) {
    return xattr(port_file_dentry(r1), ptr_of<const char>(r2), *ptr_of<const run_dynptr>(r3));
}
u64 kfunc_get_task_exe_file(u64 r1, u64, u64, u64, u64) { return port_task_exe_file(r1); }
u64 kfunc_put_file(u64 r1, u64, u64, u64, u64) {
    port_exe_file_put(r1);
    return 0;
}

/// lookup_user_key(serial, flags)
u64 kfunc_lookup_user_key(u64 r1, u64 r2, u64, u64, u64) { return port_key_user(static_cast<u32>(r1), r2); }
u64 kfunc_lookup_system_key(u64 r1, u64, u64, u64, u64) { return port_key_system(r1); }
u64 kfunc_key_put(u64 r1, u64, u64, u64, u64) {
    port_key_put(r1);
    return 0;
}
/// verify_pkcs7_signature(data, signature, keyring)
u64 kfunc_verify_pkcs7_signature(u64 r1, u64 r2, u64 r3, u64, u64) {
    const auto &data = *ptr_of<const run_dynptr>(r1), &signature = *ptr_of<const run_dynptr>(r2);
    const void *signed_bytes = bytes_of(data), *signature_bytes = bytes_of(signature);
    if ((data.size && !signed_bytes) || (signature.size && !signature_bytes))
        return kfunc_errno(EINVAL);
    return kfunc_errno(-port_key_verify(r3, signed_bytes, data.size, signature_bytes, signature.size));
}

} // namespace modbpf
