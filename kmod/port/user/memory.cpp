// SPDX-License-Identifier: GPL-2.0-only
// Memory on POSIX: calloc with the fail-Nth injector, per-CPU copies, page regions with a mirrored tail, executable text.
//
// A region is shared anonymous memory; mremap() with an old size of 0 makes one more mapping of the same pages, which
// serves the mirror here and the user mappings in file.cpp, with no descriptor held.
#include "base/errno.h"
#include "port/user/user.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace {

u64 fail_countdown; // 0: off
u64 alloc_count;

bool inject_failure() {
    __atomic_fetch_add(&alloc_count, 1, __ATOMIC_RELAXED);
    u64 n = __atomic_load_n(&fail_countdown, __ATOMIC_RELAXED);
    while (n)
        if (__atomic_compare_exchange_n(&fail_countdown, &n, n - 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return n == 1;
    return false;
}

size_t page_up(size_t n) { return (n + PORT_PAGE_SIZE - 1) & ~static_cast<size_t>(PORT_PAGE_SIZE - 1); }

/// Large blocks are kept for reuse, as the kernel keeps its pages: malloc would give them back to the system, and each page fault costs more
/// than what is done with the page. Not under a sanitizer, which is to see what is used behind its end.
constexpr size_t large = 128 << 10, max_large = 32 << 20;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr u32 kept_blocks = 0;
#else
constexpr u32 kept_blocks = 8;
#endif
void *kept[kept_blocks ? kept_blocks : 1]; // each taken and put by one atomic exchange

/// What is in it is unknown.
void *take_large(size_t size) {
    for (u32 i = 0; i < kept_blocks; i++) {
        void *p = __atomic_exchange_n(&kept[i], nullptr, __ATOMIC_ACQUIRE);
        size_t have = p ? malloc_usable_size(p) : 0;
        if (have >= size && have / 2 <= size)
            return p;
        void *none = nullptr;
        if (p && !__atomic_compare_exchange_n(&kept[i], &none, p, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            free(p);
    }
    return nullptr;
}

/// Keeps the block in place of the smallest one. -> what is left to be freed, or null.
void *keep_large(void *p) {
    size_t have = malloc_usable_size(p);
    if (have < large || have > max_large)
        return p;
    for (u32 i = 0; i < kept_blocks && p; i++) {
        void *other = __atomic_exchange_n(&kept[i], nullptr, __ATOMIC_ACQUIRE), *none = nullptr;
        if (other && malloc_usable_size(other) > malloc_usable_size(p)) {
            void *smaller = p;
            p = other, other = smaller;
        }
        if (!__atomic_compare_exchange_n(&kept[i], &none, p, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            free(p); // another thread was faster
        p = other;
    }
    return p;
}

} // namespace

struct port_payer {
    u64 bytes; ///< atomic
};
static port_payer the_payer; ///< there is one
static PORT_USER_TLS port_payer *paying;

port_payer *port_payer_get(void) { return &the_payer; }
void port_payer_put(port_payer *) {}
port_payer *port_payer_set(port_payer *p) {
    port_payer *before = paying;
    paying = p;
    return before;
}
u64 port_user_paid(void) { return __atomic_load_n(&the_payer.bytes, __ATOMIC_RELAXED); }

void *port_alloc(size_t size, port_alloc_ctx) {
    if (inject_failure() || size == 0 || size > PORT_ALLOC_MAX)
        return nullptr;
    if (paying)
        __atomic_fetch_add(&paying->bytes, size, __ATOMIC_RELAXED);
    if (size < large) { // malloc() has a list of free blocks for each thread, which calloc() does not look at
        void *p = malloc(size);
        asm("" : "+r"(p)); // or the compiler makes a calloc() of the two
        return p ? memset(p, 0, size) : nullptr;
    }
    void *p = take_large(size);
    return p ? memset(p, 0, size) : calloc(1, size);
}

void *port_scratch_alloc(size_t size) {
    if (inject_failure() || size == 0 || size > PORT_ALLOC_MAX)
        return nullptr;
    void *p = size < large ? nullptr : take_large(size);
    if (!p)
        p = malloc(size);
#ifdef MODBPF_DEBUG
    if (p)
        memset(p, 0xa5, size); // nothing may lean on what is in it
#endif
    return p;
}

void port_scratch_free(void *p, size_t) { port_free(p); }

void port_free(void *p) {
    free(p ? keep_large(p) : p);
}

u64 port_memory_bytes() {
    return static_cast<u64>(sysconf(_SC_PHYS_PAGES)) * PORT_PAGE_SIZE;
}

u64 port_fail_nth_set(u64 n) {
    __atomic_store_n(&fail_countdown, n, __ATOMIC_RELAXED);
    return __atomic_exchange_n(&alloc_count, 0, __ATOMIC_RELAXED);
}

void *port_percpu_alloc(size_t size, size_t align, port_alloc_ctx) {
    if (inject_failure() || size == 0 || size > PORT_PERCPU_MAX || align == 0 || align > PORT_PAGE_SIZE || (align & (align - 1)))
        return nullptr;
    void *p = nullptr;
    if (posix_memalign(&p, align < 64 ? 64 : align, PORT_USER_PERCPU_DISTANCE * (port_cpu_count() - 1) + size))
        return nullptr;
    for (unsigned int cpu = 0; cpu < port_cpu_count(); cpu++) {
        u8 *copy = static_cast<u8 *>(port_percpu_ptr(p, cpu));
        memset(copy, 0, size);
#ifdef __SANITIZE_ADDRESS__
        if (cpu + 1 < port_cpu_count()) // overruns from one copy towards the next
            __asan_poison_memory_region(copy + size, PORT_USER_PERCPU_DISTANCE - size);
#endif
    }
    return p;
}

void port_percpu_free(void *p) { free(p); }

void *port_percpu_ptr(void *p, unsigned int cpu) { return static_cast<u8 *>(p) + PORT_USER_PERCPU_DISTANCE * cpu; }

void *port_this_cpu_ptr(void *p) { return port_percpu_ptr(p, port_cpu_id()); }
// Any CPU's copy does, when it is added to atomically: readers sum up all of them.
void port_percpu_add(u64 *p, u64 n) { __atomic_fetch_add(static_cast<u64 *>(port_this_cpu_ptr(p)), n, __ATOMIC_RELEASE); }

struct port_region {
    u8 *addr;
    size_t size;
    size_t mirror;
};

port_region *port_region_create(size_t size, size_t mirror_size) {
    if (inject_failure() || size == 0 || size > PORT_ALLOC_MAX || mirror_size % PORT_PAGE_SIZE || mirror_size > page_up(size))
        return nullptr;
    size = page_up(size);
    port_region *r = static_cast<port_region *>(malloc(sizeof(*r)));
    if (!r)
        return nullptr;
    void *space = mmap(nullptr, size + mirror_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED) {
        free(r);
        return nullptr;
    }
    u8 *addr = static_cast<u8 *>(space);
    bool ok = mmap(addr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
    if (ok && mirror_size)
        ok = mremap(addr + size - mirror_size, 0, mirror_size, MREMAP_MAYMOVE | MREMAP_FIXED, addr + size) != MAP_FAILED;
    if (!ok) {
        munmap(addr, size + mirror_size);
        free(r);
        return nullptr;
    }
    r->addr = addr;
    r->size = size;
    r->mirror = mirror_size;
    return r;
}

void port_region_destroy(port_region *r) {
    if (!r)
        return;
    munmap(r->addr, r->size + r->mirror);
    free(r);
}

void *port_region_addr(port_region *r) { return r->addr; }
size_t port_region_size(port_region *r) { return r->size; }
size_t port_user_region_mirror(port_region *r) { return r->mirror; }

namespace {
/// Text that went, for the next image of that size: mapping and faulting pages in takes longer than a translation. It is writable and
/// holds int3 only. The lock protects the list; task context.
struct {
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct {
        void *text;
        size_t bytes;
    } kept[8];
    u32 count = 0;
} free_text;
constexpr size_t kept_max = 64 << 10;

/// A child may have been forked off while somebody held the lock: nobody waits for it.
struct text_lock {
    const bool held = !pthread_mutex_trylock(&free_text.lock);
    ~text_lock() {
        if (held)
            pthread_mutex_unlock(&free_text.lock);
    }
};

bool keep_text(void *text, size_t bytes) {
    text_lock l;
    if (!l.held || free_text.count == sizeof(free_text.kept) / sizeof(free_text.kept[0]))
        return false;
    free_text.kept[free_text.count++] = {text, bytes};
    return true;
}

void *take_free_text(size_t bytes) {
    text_lock l;
    for (u32 i = l.held ? free_text.count : 0; i--;)
        if (free_text.kept[i].bytes == bytes) {
            void *p = free_text.kept[i].text;
            free_text.kept[i] = free_text.kept[--free_text.count];
            return p;
        }
    return nullptr;
}

} // namespace

void *port_text_alloc(size_t size) {
    if (inject_failure() || size == 0 || size > PORT_ALLOC_MAX)
        return nullptr;
    size_t bytes = page_up(size);
    if (void *kept = take_free_text(bytes))
        return kept;
    void *p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return nullptr;
    memset(p, 0xcc, bytes);
    return p;
}

int port_text_seal(void *text, size_t size) {
    return mprotect(text, page_up(size), PROT_READ | PROT_EXEC) ? -EACCES : 0;
}

void port_text_free(void *text, size_t size) {
    size_t bytes = page_up(size);
    if (!text)
        return;
    if (bytes <= kept_max && !mprotect(text, bytes, PROT_READ | PROT_WRITE)) {
        memset(text, 0xcc, bytes);
        if (keep_text(text, bytes))
            return;
    }
    munmap(text, bytes);
}

void port_jit_env(struct port_jit_env *out) {
    memset(out, 0, sizeof(*out));
    out->bmi2 = __builtin_cpu_supports("bmi2");
    port_user_per_cpu(out);
}
const char *port_jit_passes(void) { return getenv("MODBPF_JIT_PASSES"); }
int port_jit_harden(void) {
    const char *asked = getenv("MODBPF_JIT_HARDEN");
    return asked ? atoi(asked) : 0;
}
