// SPDX-License-Identifier: GPL-2.0-only
// User and probe memory access on POSIX: the process's own memory, where a bad address must give EFAULT, never a signal.
//
// process_vm_readv/writev on the own process do that in one system call and honour page protection. Where a sandbox
// forbids them, a memfd does: write() from, and read() into, bad memory give EFAULT too.
#include "base/errno.h"
#include "port/user/user.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

bool vm_calls_refused; // atomic

/// Moves n bytes through a memfd; one of dst and src may be bad memory.
int copy_through_file(void *dst, const void *src, size_t n) {
    int fd = memfd_create("modbpf-copy", MFD_CLOEXEC);
    if (fd < 0)
        return -EFAULT;
    bool ok = pwrite(fd, src, n, 0) == static_cast<ssize_t>(n) && pread(fd, dst, n, 0) == static_cast<ssize_t>(n);
    close(fd);
    return ok ? 0 : -EFAULT;
}

int copy(void *dst, const void *src, size_t n, bool from_user) {
    constexpr size_t most = 1ul << 30; // a call moves less than 2^31 bytes
    int saved = errno;                 // libc's errno is the program's
    int rc = 0;
    while (n) {
        size_t part = n < most ? n : most;
        ssize_t got = -1;
        if (!__atomic_load_n(&vm_calls_refused, __ATOMIC_RELAXED)) {
            iovec local = {from_user ? dst : const_cast<void *>(src), part};
            iovec remote = {from_user ? const_cast<void *>(src) : dst, part};
            got = from_user ? process_vm_readv(getpid(), &local, 1, &remote, 1, 0)
                            : process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
            if (got < 0 && (errno == EPERM || errno == ENOSYS))
                __atomic_store_n(&vm_calls_refused, true, __ATOMIC_RELAXED);
        }
        if (__atomic_load_n(&vm_calls_refused, __ATOMIC_RELAXED))
            rc = copy_through_file(dst, src, part);
        else if (got != static_cast<ssize_t>(part))
            rc = -EFAULT;
        if (rc)
            break; // a bad address may be at the end of the address space
        dst = static_cast<u8 *>(dst) + part;
        src = static_cast<const u8 *>(src) + part;
        n -= part;
    }
    errno = saved;
    return rc;
}

const void *at(u64 a) { return reinterpret_cast<const void *>(a); }

/// Copies up to and with the NUL, at most `size` - 1 characters; terminates. -> characters without the NUL, -EFAULT.
/// Reads no byte behind the page that holds the NUL.
long copy_string(char *dst, u64 src, size_t size) {
    size_t done = 0;
    if (size == 0)
        return 0;
    while (done < size - 1) {
        size_t part = PORT_PAGE_SIZE - ((src + done) & (PORT_PAGE_SIZE - 1));
        if (part > 256)
            part = 256; // most strings are short
        if (part > size - 1 - done)
            part = size - 1 - done;
        if (copy(dst + done, at(src + done), part, true)) {
            dst[0] = 0;
            return -EFAULT;
        }
        size_t n = strnlen(dst + done, part);
        done += n;
        if (n < part)
            return static_cast<long>(done);
    }
    dst[done] = 0;
    return static_cast<long>(done);
}

long with_nul(long n) { return n < 0 ? n : n + 1; }

} // namespace

int port_copy_from_user(void *dst, u64 src, size_t n) { return copy(dst, at(src), n, true); }
int port_copy_to_user(u64 dst, const void *src, size_t n) { return copy(const_cast<void *>(at(dst)), src, n, false); }
long port_strncpy_from_user(char *dst, u64 src, size_t size) { return copy_string(dst, src, size); }
long port_probe_read_kernel(void *dst, u64 src, size_t n) { return copy(dst, at(src), n, true); }
long port_probe_read_user(void *dst, u64 src, size_t n) { return copy(dst, at(src), n, true); }
long port_probe_read_kernel_str(char *dst, u64 src, size_t size) {
    return size ? with_nul(copy_string(dst, src, size)) : 0;
}
long port_probe_read_user_str(char *dst, u64 src, size_t size) {
    return size ? with_nul(copy_string(dst, src, size)) : 0;
}

// One address space: what a program hands a command is as good as the caller's.
void port_kernel_pointers_begin(port_kernel_pointers *, u64, size_t) {}
void port_kernel_pointers_end(port_kernel_pointers *) {}
