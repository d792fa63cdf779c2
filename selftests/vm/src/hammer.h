// SPDX-License-Identifier: GPL-2.0-only
// Every map of an object used from user space as its type allows, as fast as it goes, until told to stop.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

class hammer {
public:
    hammer(bpf_object *obj, const volatile bool &stop) : stop_(stop) {
        bpf_map *m;
        bpf_object__for_each_map(m, obj) {
            unsigned type = bpf_map__type(m);
            if (type != BPF_MAP_TYPE_RINGBUF && type != BPF_MAP_TYPE_PERF_EVENT_ARRAY && type != BPF_MAP_TYPE_PERCPU_ARRAY)
                maps_.push_back({bpf_map__fd(m), type, bpf_map__key_size(m), bpf_map__value_size(m)});
        }
    }

    static void *run(void *arg) {
        auto *h = static_cast<hammer *>(arg);
        while (!h->stop_)
            for (const one &m : h->maps_)
                h->strike(m);
        return nullptr;
    }
    unsigned long strikes() const { return strikes_; }

private:
    struct one {
        int fd;
        unsigned type, key_size, value_size;
    };

    /// Prefixes and small keys: the first word is a length, or few enough to meet.
    static void random_key(const one &m, unsigned *key) {
        for (unsigned i = 0; i < m.key_size / 4; i++)
            key[i] = static_cast<unsigned>(rand());
        key[0] %= m.type == BPF_MAP_TYPE_LPM_TRIE ? 33 : m.type == BPF_MAP_TYPE_HASH_OF_MAPS ? 8 : 512;
    }

    void walk(const one &m) {
        unsigned key[8] = {}, next[8] = {};
        std::vector<char> value(m.value_size + 8);
        for (int n = 0; n < 32 && !bpf_map_get_next_key(m.fd, n ? key : nullptr, next); n++) {
            memcpy(key, next, sizeof(key));
            bpf_map_lookup_elem(m.fd, key, value.data());
        }
    }

    static void swap_inner(const one &m) {
        unsigned key = static_cast<unsigned>(rand()) % 8;
        int inner = bpf_map_create(BPF_MAP_TYPE_HASH, "inner", 4, 8, 64, nullptr);
        if (inner < 0)
            return;
        bpf_map_update_elem(m.fd, &key, &inner, BPF_ANY);
        close(inner);
        if (key == 3)
            bpf_map_delete_elem(m.fd, &key);
    }

    static void short_life(const one &m) {
        pid_t p = fork();
        if (!p)
            _exit(0);
        int fd = static_cast<int>(syscall(SYS_pidfd_open, p, 0));
        const unsigned long who = static_cast<unsigned long>(p), value[2] = {who, ~who};
        bpf_map_update_elem(m.fd, &fd, value, BPF_ANY);
        waitpid(p, nullptr, 0);
        bpf_map_update_elem(m.fd, &fd, value, BPF_ANY);
        bpf_map_delete_elem(m.fd, &fd);
        close(fd);
    }

    void strike(const one &m) {
        unsigned key[8] = {};
        std::vector<char> value(m.value_size + 8);
        unsigned r = static_cast<unsigned>(rand());
        const unsigned word[2] = {~r, r};
        memcpy(value.data(), word, sizeof(word));
        strikes_++;
        switch (m.type) {
        case BPF_MAP_TYPE_QUEUE:
        case BPF_MAP_TYPE_STACK:
            bpf_map_update_elem(m.fd, nullptr, value.data(), BPF_EXIST);
            bpf_map_lookup_elem(m.fd, nullptr, value.data());
            bpf_map_lookup_and_delete_elem(m.fd, nullptr, value.data());
            return;
        case BPF_MAP_TYPE_BLOOM_FILTER:
            bpf_map_update_elem(m.fd, nullptr, value.data(), BPF_ANY);
            bpf_map_lookup_elem(m.fd, nullptr, value.data());
            return;
        case BPF_MAP_TYPE_HASH_OF_MAPS:
            swap_inner(m);
            return;
        case BPF_MAP_TYPE_TASK_STORAGE:
            short_life(m);
            return;
        case BPF_MAP_TYPE_STACK_TRACE:
            walk(m);
            random_key(m, key);
            bpf_map_delete_elem(m.fd, key);
            return;
        default:
            random_key(m, key);
            bpf_map_update_elem(m.fd, key, value.data(), BPF_ANY);
            random_key(m, key);
            bpf_map_delete_elem(m.fd, key);
            random_key(m, key);
            bpf_map_lookup_and_delete_elem(m.fd, key, value.data());
            walk(m);
        }
    }

    std::vector<one> maps_;
    const volatile bool &stop_;
    unsigned long strikes_ = 0;
};
