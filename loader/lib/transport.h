// SPDX-License-Identifier: GPL-2.0-only
// Inside libmodbpf.so: which back end answers, and the raw system call. Any thread; no locks but pthread_once.
#pragma once

#include <stdint.h>

struct modbpf_perf_event_open;

namespace transport {

enum class backend_kind { device, process, kernel };
backend_kind backend();

/// The system call itself: a result or -errno. libc's errno is left alone.
long raw(long nr, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0);

/// True while this thread runs the core: calls that it makes itself pass through.
bool in_core();

struct core_section {
    core_section();
    ~core_section();
    core_section(const core_section &) = delete;
};

// The device: results or -errno. ENODEV or EPERM, and one line on standard error, when it cannot be opened.
long device_ioctl(unsigned long request, void *arg);

// Perf events that the kernel opened (events.cpp): any of them may yet get a program of modbpf's.
void event_opened(int fd, const modbpf_perf_event_open &how); ///< how.attr was good
void event_forgotten(int fd);
void event_switched(int fd, bool on); ///< PERF_EVENT_IOC_ENABLE, _DISABLE
/// The device refused fd: if it is such an event, it becomes one of the device's, under the same number. True: ask again.
bool event_adopt(int fd);

// The process back end: results or -errno.
long process_bpf(unsigned int cmd, uint64_t attr, unsigned int size);
long process_perf_event_open(uint64_t attr, int pid, int cpu, int group, uint64_t flags);
long process_features(char *buf, uint32_t size);

} // namespace transport
