// SPDX-License-Identifier: GPL-2.0-only
// Modules in a process: files of types in the directory MODBPF_MODULE_BTF, each named like its module, and those that tests load.
// lock: the list, and the counts of what is on it.
#include "base/errno.h"
#include "port/user/user.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct port_module {
    char name[64];
    port_user_bytes types;
    u32 refs; ///< the list has one
    u32 held;
    bool gone;
    port_module *next;
};

namespace {

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
pthread_once_t once = PTHREAD_ONCE_INIT;
port_module *loaded = nullptr;
u64 version = 1;

struct guard {
    guard() { pthread_mutex_lock(&lock); }
    ~guard() { pthread_mutex_unlock(&lock); }
};

void put_locked(port_module *m) {
    if (--m->refs)
        return;
    free(m->types.data);
    free(m);
}

port_module **find_locked(const char *name) {
    port_module **at = &loaded;
    while (*at && strcmp((*at)->name, name))
        at = &(*at)->next;
    return at;
}

/// Takes the types over.
bool add_locked(const char *name, port_user_bytes types) {
    port_module **end = find_locked(name);
    port_module *m = *end || strlen(name) >= sizeof(port_module::name) ? nullptr : static_cast<port_module *>(calloc(1, sizeof(port_module)));
    if (!m) {
        free(types.data);
        return false;
    }
    strcpy(m->name, name);
    m->types = types;
    m->refs = 1;
    *end = m;
    version++;
    return true;
}

/// In the order of their names.
void read_directory() {
    guard g;
    const char *dir = getenv("MODBPF_MODULE_BTF");
    dirent **entries = nullptr;
    int n = dir ? scandir(dir, &entries, nullptr, alphasort) : 0;
    for (int i = 0; i < n; i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
        port_user_bytes types = port_user_read_whole(path);
        if (types.data)
            (void)add_locked(entries[i]->d_name, types);
        free(entries[i]);
    }
    free(entries);
}

} // namespace

u64 port_modules_version(void) {
    pthread_once(&once, read_directory);
    guard g;
    return version;
}

port_module *port_module_at(u32 index) {
    guard g;
    port_module *m = loaded;
    while (m && index--)
        m = m->next;
    if (m)
        m->refs++;
    return m;
}

void port_module_put(port_module *m) {
    guard g;
    if (m)
        put_locked(m);
}

const char *port_module_name(const port_module *m) { return m->name; }

long port_module_btf(port_module *m, void *to, size_t size) {
    guard g;
    if (m->gone)
        return -ENOENT;
    if (!size || size > m->types.size)
        return static_cast<long>(m->types.size);
    memcpy(to, m->types.data, size);
    return static_cast<long>(size);
}

bool port_module_hold(port_module *m) {
    guard g;
    if (m->gone)
        return false;
    m->held++;
    m->refs++;
    return true;
}

void port_module_release(port_module *m) {
    guard g;
    if (!m)
        return;
    m->held--;
    put_locked(m);
}

bool port_module_has(port_module *, const char *) { return true; }

bool port_user_load_module(const char *name, const void *types, size_t size) {
    port_user_bytes copy{malloc(size), size};
    if (!copy.data)
        return false;
    memcpy(copy.data, types, size);
    guard g;
    return add_locked(name, copy);
}

bool port_user_unload_module(const char *name) {
    guard g;
    port_module **at = find_locked(name), *m = *at;
    if (!m || m->held)
        return false;
    *at = m->next;
    m->gone = true;
    version++;
    put_locked(m);
    return true;
}
