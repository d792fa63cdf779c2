// SPDX-License-Identifier: GPL-2.0-only
// Arenas in a process: a sparse file of 4 GiB, mapped as a whole at the arena's own addresses and, as far as the program asks, at its.
//
// No fault is caught. What the program sees of a strict arena is open or closed by mprotect; of any other all of it is open, and a page that
// it has touched is found by the file having data there. Accesses ask first whether the pages are there: taking one that is just being
// removed does no harm, as the addresses stay valid.
#include "base/errno.h"
#include "port/user/user.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <fcntl.h>

namespace {
constexpr u64 bytes = static_cast<u64>(PORT_ARENA_PAGES) * PORT_PAGE_SIZE;
constexpr u64 block = 2 * bytes;   ///< reserved, on a multiple of itself, so that the arena is found by its addresses
constexpr u64 head = 1 << 20;      ///< before the arena: its descriptor, and the guard
} // namespace

struct port_arena {
    int fd;
    bool strict;
    u8 *user; ///< the program's mapping; null: there is none
    size_t user_size;
    int user_prot;
    u64 present[PORT_ARENA_PAGES / 64]; ///< changed atomically
};
static_assert(sizeof(port_arena) + PORT_ARENA_GUARD <= head);

namespace {

u64 address(const port_arena *a) { return reinterpret_cast<u64>(a) + head; }
bool marked(const port_arena *a, u32 page) { return __atomic_load_n(&a->present[page / 64], __ATOMIC_ACQUIRE) >> page % 64 & 1; }
void mark(port_arena *a, u32 page) { __atomic_fetch_or(&a->present[page / 64], 1ull << page % 64, __ATOMIC_RELEASE); }
void unmark(port_arena *a, u32 page) { __atomic_fetch_and(&a->present[page / 64], ~(1ull << page % 64), __ATOMIC_RELEASE); }
off_t offset(u32 page) { return static_cast<off_t>(page) * PORT_PAGE_SIZE; }

/// Was the page added, or touched by the program?
bool has_page(port_arena *a, u32 page) {
    if (marked(a, page))
        return true;
    int saved = errno;
    bool touched = !a->strict && lseek(a->fd, offset(page), SEEK_DATA) == offset(page);
    errno = saved;
    if (touched)
        mark(a, page);
    return touched;
}

/// Opens or closes pages in what the program sees. Those outside of its mapping are not its.
void protect(port_arena *a, u32 page, u32 count, bool open) {
    if (!a->strict || !a->user)
        return;
    u64 first = reinterpret_cast<u64>(a->user) % bytes / PORT_PAGE_SIZE, end = first + a->user_size / PORT_PAGE_SIZE;
    u64 from = page > first ? page : first, to = page + static_cast<u64>(count) < end ? page + static_cast<u64>(count) : end;
    if (from < to)
        mprotect(a->user + (from - first) * PORT_PAGE_SIZE, (to - from) * PORT_PAGE_SIZE, open ? a->user_prot : PROT_NONE);
}

void punch(port_arena *a, u32 page, u32 count) {
    fallocate(a->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset(page), offset(count));
}

template <class U> u64 access(enum port_arena_op op, U *at, U value, u64 *old) {
    U expected = static_cast<U>(*old);
    switch (op) {
    case PORT_ARENA_LOAD: return *reinterpret_cast<volatile U *>(at);
    case PORT_ARENA_STORE: *reinterpret_cast<volatile U *>(at) = value; return value;
    case PORT_ARENA_ADD: __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST); return value;
    case PORT_ARENA_AND: __atomic_fetch_and(at, value, __ATOMIC_SEQ_CST); return value;
    case PORT_ARENA_OR: __atomic_fetch_or(at, value, __ATOMIC_SEQ_CST); return value;
    case PORT_ARENA_XOR: __atomic_fetch_xor(at, value, __ATOMIC_SEQ_CST); return value;
    case PORT_ARENA_XADD: return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);
    case PORT_ARENA_XCHG: return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);
    default:
        __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        *old = expected;
        return value;
    }
}

/// Both ends of the access have memory.
bool reaches(u64 addr, u32 width) {
    auto *a = reinterpret_cast<port_arena *>(addr & ~(block - 1));
    u64 first = addr - address(a), last = first + width - 1; // below the arena: a huge number
    if (first >= bytes || last >= bytes || !has_page(a, static_cast<u32>(first / PORT_PAGE_SIZE)))
        return false;
    return first / PORT_PAGE_SIZE == last / PORT_PAGE_SIZE || has_page(a, static_cast<u32>(last / PORT_PAGE_SIZE));
}

u64 absent(enum port_arena_op op, u32 width, u64 value, u64 *old) {
    u64 kept = width == 8 ? ~0ull : (1ull << width * 8) - 1;
    if (op == PORT_ARENA_CMPXCHG)
        *old &= kept;
    return op == PORT_ARENA_LOAD ? 0 : value & kept;
}

} // namespace

u64 port_arena_access(enum port_arena_op op, u32 width, u64 addr, u64 value, u64 *old) {
    u64 none = 0, *compared = old ? old : &none;
    if (!reaches(addr, width))
        return absent(op, width, value, compared);
    switch (width) {
    case 1: return access(op, reinterpret_cast<u8 *>(addr), static_cast<u8>(value), compared);
    case 2: return access(op, reinterpret_cast<u16 *>(addr), static_cast<u16>(value), compared);
    case 4: return access(op, reinterpret_cast<u32 *>(addr), static_cast<u32>(value), compared);
    default: return access(op, reinterpret_cast<u64 *>(addr), value, compared);
    }
}

extern "C" u64 port_user_arena_access(u64 which, u64 addr, u64 value, u64 *rax) {
    return port_arena_access(static_cast<enum port_arena_op>(which / 4), 1u << which % 4, addr, value, rax);
}

// Code that native code calls: port_arena_access() with everything kept but r10 and the flags. 16 bytes each, by operation and width.
asm(R"(
.pushsection .text
.balign 16
.hidden port_user_arena_code
port_user_arena_code:
.set which, 0
.rept 9 * 4
    .balign 16
    pushq $which
    jmp 1f
    .set which, which + 1
.endr
1:
    pushq %rbp
    movq %rsp, %rbp
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    movq 8(%rbp), %rdi
    movq %r9, %rsi
    movq %r10, %rdx
    leaq -8(%rbp), %rcx
    andq $-16, %rsp
    call port_user_arena_access
    movq %rax, %r10
    leaq -56(%rbp), %rsp
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    popq %rbp
    leaq 8(%rsp), %rsp
    ret
.popsection
)");
extern "C" const u8 port_user_arena_code[] __attribute__((visibility("hidden")));

u64 port_arena_code(enum port_arena_op op, u32 width) {
    static_assert(PORT_ARENA_OPS == 9);
    u32 least = op == PORT_ARENA_LOAD || op == PORT_ARENA_STORE ? 1 : 4;
    if (op >= PORT_ARENA_OPS || width < least || width > 8 || (width & (width - 1)))
        return 0;
    return reinterpret_cast<u64>(port_user_arena_code) + (op * 4 + static_cast<u32>(__builtin_ctz(width))) * 16;
}

int port_arena_create(bool strict, port_arena **out) {
    void *counted = port_alloc(1, PORT_SLEEPING); // one of the allocations that tests let fail
    if (!counted)
        return -ENOMEM;
    port_free(counted);
    int fd = memfd_create("modbpf-arena", MFD_CLOEXEC);
    if (fd < 0)
        return -ENOMEM;
    fd = port_user_high_fd(fd);
    void *space = ftruncate(fd, static_cast<off_t>(bytes))
                      ? MAP_FAILED
                      : mmap(nullptr, 2 * block, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED) {
        close(fd);
        return -ENOMEM;
    }
    u8 *from = static_cast<u8 *>(space), *at = reinterpret_cast<u8 *>((reinterpret_cast<u64>(from) + block - 1) & ~(block - 1));
    munmap(from, static_cast<size_t>(at - from));
    munmap(at + block, static_cast<size_t>(from + block - at));
    bool ok = mprotect(at, head - PORT_ARENA_GUARD, PROT_READ | PROT_WRITE) == 0 &&
              mmap(at + head, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0) != MAP_FAILED;
    if (!ok) {
        munmap(at, block);
        close(fd);
        return -ENOMEM;
    }
    auto *a = reinterpret_cast<port_arena *>(at);
    a->fd = fd;
    a->strict = strict;
    *out = a;
    return 0;
}

void port_arena_destroy(port_arena *a) {
    if (!a)
        return;
    close(a->fd);
    munmap(a, block);
}

u64 port_arena_base(const port_arena *a) { return address(a); }

const u64 *port_arena_pages(port_arena *a) {
    off_t at = 0, end;
    int saved = errno;
    while (!a->strict && (at = lseek(a->fd, at, SEEK_DATA)) >= 0) {
        end = lseek(a->fd, at, SEEK_HOLE);
        for (; at < end; at += PORT_PAGE_SIZE)
            mark(a, static_cast<u32>(at / PORT_PAGE_SIZE));
    }
    errno = saved;
    return a->present;
}

int port_arena_add(port_arena *a, u32 page, u32 count, int node) {
    if (node != -1 && node != port_numa_node())
        return -EINVAL;
    void *counted = port_alloc(1, PORT_SLEEPING);
    if (!counted || count > port_memory_bytes() / PORT_PAGE_SIZE) {
        port_free(counted);
        return -ENOMEM;
    }
    port_free(counted);
    punch(a, page, count);
    for (u32 i = page; i < page + count; i++)
        mark(a, i);
    protect(a, page, count, true);
    return 0;
}

void port_arena_remove(port_arena *a, u32 page, u32 count) {
    protect(a, page, count, false);
    for (u32 i = page; i < page + count; i++)
        unmark(a, i);
    punch(a, page, count);
}

bool port_user_arena_map(port_arena *a, u8 *addr, size_t size, int prot) {
    auto off = static_cast<off_t>(reinterpret_cast<u64>(addr) % bytes);
    int first = a->strict ? PROT_NONE : prot;
    if (mmap(addr, size, first, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, a->fd, off) == MAP_FAILED)
        return false;
    madvise(addr, size, MADV_DONTFORK);
    a->user = addr, a->user_size = size, a->user_prot = prot;
    for (u32 i = 0; a->strict && i < size / PORT_PAGE_SIZE; i++)
        if (u32 page = static_cast<u32>(static_cast<u64>(off) / PORT_PAGE_SIZE) + i; marked(a, page))
            protect(a, page, 1, true);
    return true;
}

void port_user_arena_unmapped(port_arena *a, const u8 *addr) {
    if (a->user == addr)
        a->user = nullptr;
}
