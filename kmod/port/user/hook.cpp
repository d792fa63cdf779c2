// SPDX-License-Identifier: GPL-2.0-only
// Hooks in a process: at functions that stand for those which the kernel has for test runs. Each begins with room for a call, which a
// hook fills; nobody may be at its beginning meanwhile. hooks_lock: the bytes of those calls. in_functions: read by whoever is in a function,
// or in what it calls; written by who waits for them.
#include "base/errno.h"
#include "port/user/user.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ROOM 13 // mov r11, imm64; call r11
#define HOOKED extern "C" __attribute__((noipa, patchable_function_entry(ROOM), no_sanitize("address", "undefined", "thread")))

namespace {
struct chain {
    chain *next;
};
} // namespace

HOOKED int bpf_fentry_test1(int a) { return a + 1; }
HOOKED int bpf_fentry_test2(int a, u64 b) { return static_cast<int>(a + static_cast<s64>(b)); }
HOOKED int bpf_fentry_test3(char a, int b, u64 c) { return static_cast<int>(a + b + static_cast<s64>(c)); }
HOOKED int bpf_fentry_test4(u64 a, char b, int c, u64 d) { return static_cast<int>(a + static_cast<u64>(b + c) + d); }
HOOKED int bpf_fentry_test5(u64 a, u64 b, short c, int d, u64 e) { return static_cast<int>(a + b + static_cast<u64>(c + d) + e); }
HOOKED int bpf_fentry_test6(u64 a, u64 b, short c, int d, u64 e, u64 f) {
    return static_cast<int>(a + b + static_cast<u64>(c + d) + e + f);
}
HOOKED int bpf_fentry_test7(chain *arg) { return arg != nullptr; }
HOOKED int bpf_fentry_test8(chain *arg) { return arg->next != nullptr; }
HOOKED u32 bpf_fentry_test9(u32 *a) { return *a; }
HOOKED int bpf_modify_return_test(int a, int *b) { return a + ++*b; }
HOOKED int bpf_modify_return_test2(int a, int *b, short c, int d, u64 e, char f, int g) {
    return a + ++*b + c + d + static_cast<int>(e) + f + g;
}
/// Of the module "hooked" that tests load.
HOOKED u64 hooked_add(int a, u64 b) { return static_cast<u64>(a) + b; }

struct port_hook {
    u8 *entry;
    bool set;
    port_module *module; ///< held; null: the kernel's own
};

namespace {

constexpr u8 endbr[] = {0xf3, 0x0f, 0x1e, 0xfa};
pthread_mutex_t hooks_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_rwlock_t in_functions = PTHREAD_RWLOCK_INITIALIZER;

const struct {
    const char *name;
    void *entry;
    const char *module = "";
} functions[] = {
#define FUNCTION(f) {#f, reinterpret_cast<void *>(f)}
    FUNCTION(bpf_fentry_test1), FUNCTION(bpf_fentry_test2), FUNCTION(bpf_fentry_test3), FUNCTION(bpf_fentry_test4),
    FUNCTION(bpf_fentry_test5), FUNCTION(bpf_fentry_test6), FUNCTION(bpf_fentry_test7), FUNCTION(bpf_fentry_test8),
    FUNCTION(bpf_fentry_test9), FUNCTION(bpf_modify_return_test), FUNCTION(bpf_modify_return_test2),
    {"hooked_add", reinterpret_cast<void *>(hooked_add), "hooked"},
};

u8 *site(const port_hook *h) { return h->entry + (memcmp(h->entry, endbr, sizeof(endbr)) ? 0 : sizeof(endbr)); }

bool write_text(u8 *at, const u8 (&bytes)[ROOM]) {
    u8 *from = reinterpret_cast<u8 *>(reinterpret_cast<uptr>(at) & ~uptr{PORT_PAGE_SIZE - 1});
    size_t n = static_cast<size_t>(at + ROOM - from);
    if (mprotect(from, n, PROT_READ | PROT_WRITE | PROT_EXEC))
        return false;
    memcpy(at, bytes, ROOM);
    return !mprotect(from, n, PROT_READ | PROT_EXEC);
}

} // namespace

int port_hook_create(const char *name, port_module *of, port_hook **out) {
    for (const auto &f : functions) {
        if (strcmp(f.name, name) || strcmp(f.module, of ? port_module_name(of) : ""))
            continue;
        auto *h = static_cast<port_hook *>(port_alloc(sizeof(port_hook), PORT_SLEEPING));
        if (!h)
            return -ENOMEM;
        if (of && !port_module_hold(of)) {
            port_free(h);
            return -ENOENT;
        }
        h->entry = static_cast<u8 *>(f.entry);
        h->module = of;
        *out = h;
        return 0;
    }
    port_log(PORT_LOG_WARN, "%s cannot be traced by the process back end, which has only the functions of test runs; load the modbpf "
                            "module and unset MODBPF_BACKEND to attach", name);
    return -EOPNOTSUPP;
}

u64 port_hook_entry(port_hook *h) { return reinterpret_cast<uptr>(h->entry); }
u64 port_hook_body(port_hook *h) { return reinterpret_cast<uptr>(site(h) + ROOM); }

int port_hook_set(port_hook *h, void *text) {
    u8 call[ROOM];
    memset(call, 0x90, sizeof(call));
    if (text) {
        const u8 mov_r11[] = {0x49, 0xbb}, call_r11[] = {0x41, 0xff, 0xd3};
        memcpy(call, mov_r11, sizeof(mov_r11));
        memcpy(call + 2, &text, sizeof(text));
        memcpy(call + 10, call_r11, sizeof(call_r11));
    }
    pthread_mutex_lock(&hooks_lock);
    bool ok = write_text(site(h), call);
    pthread_mutex_unlock(&hooks_lock);
    h->set = ok && text;
    return ok ? 0 : -EACCES;
}

void port_hook_destroy(port_hook *h) {
    if (!h)
        return;
    if (h->set)
        (void)port_hook_set(h, nullptr);
    port_module_release(h->module);
    port_free(h);
}

/// Stricter than a kernel: who sleeps in a function is waited for, too.
void port_tasks_synchronize() {
    pthread_rwlock_wrlock(&in_functions);
    pthread_rwlock_unlock(&in_functions);
}

namespace {

int call_functions(bool modify, u32 *retval) {
    chain end{nullptr};
    u32 zero = 0;
    *retval = 0;
    if (!modify)
        return bpf_fentry_test1(1) == 2 && bpf_fentry_test2(2, 3) == 5 && bpf_fentry_test3(4, 5, 6) == 15 &&
                       bpf_fentry_test4(7, 8, 9, 10) == 34 && bpf_fentry_test5(11, 12, 13, 14, 15) == 65 &&
                       bpf_fentry_test6(16, 17, 18, 19, 20, 21) == 111 && bpf_fentry_test7(nullptr) == 0 &&
                       bpf_fentry_test8(&end) == 0 && bpf_fentry_test9(&zero) == 0
                   ? 0
                   : -EFAULT;
    int number = 2;
    u16 sum = static_cast<u16>(bpf_modify_return_test(1, &number)), effects = number != 2;
    number = 2;
    sum = static_cast<u16>(sum + bpf_modify_return_test2(1, &number, 3, 4, 5, 6, 7));
    effects = static_cast<u16>(effects + (number != 2));
    *retval = static_cast<u32>(effects) << 16 | sum;
    return 0;
}

} // namespace

int port_call_test_functions(bool modify, u32 *retval) {
    pthread_rwlock_rdlock(&in_functions);
    int err = call_functions(modify, retval);
    pthread_rwlock_unlock(&in_functions);
    return err;
}
