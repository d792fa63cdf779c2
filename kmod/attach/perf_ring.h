// SPDX-License-Identifier: GPL-2.0-only
// perf_ring: the memory behind an mmap of a perf event: one header page (struct perf_event_mmap_page) and 2^n data pages.
//
// One writer side (programs on the event's CPU, in any context) and one reader in user space. The head that counts is kept
// in kernel memory; the page's data_head is only a copy for the reader, and data_tail is the reader's word, taken as it
// is: whatever it says, positions are masked, so that a hostile tail costs the reader its own data and nothing else.
// Writers exclude each other by a try-lock with interrupts off: what is left is an NMI that comes in the middle of a
// write on its own CPU; its record is counted as lost. The data appears twice in kernel addresses, so that a record never wraps.
// Layout and records: man 2 perf_event_open.
#pragma once

#include "base/memory.h"
#include "base/result.h"
#include "base/span.h"

namespace modbpf {

/// What the event's attributes say about records and wake-ups.
struct perf_format {
    u64 sample_type;
    bool sample_id_all;
    bool watermark;    ///< wake by bytes, else by events
    u32 wakeup;        ///< that many events or bytes; 0: half of the buffer only
    u64 id;            ///< the event's own
    u64 period;
};

/// PERF_SAMPLE_* bits that a record can carry here.
enum : u64 {
    PERF_SAMPLE_TID = 1u << 1, PERF_SAMPLE_TIME = 1u << 2, PERF_SAMPLE_ADDR = 1u << 3, PERF_SAMPLE_ID = 1u << 6,
    PERF_SAMPLE_CPU = 1u << 7, PERF_SAMPLE_PERIOD = 1u << 8, PERF_SAMPLE_STREAM_ID = 1u << 9, PERF_SAMPLE_RAW = 1u << 10,
    PERF_SAMPLE_IDENTIFIER = 1u << 16,
};
inline constexpr u64 supported_samples = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR | PERF_SAMPLE_ID |
                                         PERF_SAMPLE_CPU | PERF_SAMPLE_PERIOD | PERF_SAMPLE_STREAM_ID | PERF_SAMPLE_RAW |
                                         PERF_SAMPLE_IDENTIFIER;

class perf_ring {
public:
    /// data_pages: 0 or a power of two. overwrite: the reader cannot move the tail, old data is overwritten. Task context.
    static result<perf_ring *> create(u32 data_pages, bool overwrite, const perf_format &f);
    perf_ring() = default;
    perf_ring(const perf_ring &) = delete;
    ~perf_ring() { port_region_destroy(region_); }

    /// One PERF_RECORD_SAMPLE with a then b as raw data, after a PERF_RECORD_LOST if records were lost before. Any context.
    /// 0, -ENOSPC, -E2BIG; *wake: the reader must be woken.
    long output(const perf_format &f, span<const u8> a, span<const u8> b, bool *wake);
    /// PERF_EVENT_IOC_PAUSE_OUTPUT; EINVAL without data pages.
    status pause(bool on);
    /// True once after a wake-up.
    bool take_ready() { return __atomic_exchange_n(&ready_, 0, __ATOMIC_ACQ_REL) != 0; }

    u32 data_pages() const { return static_cast<u32>(data_size_ / PORT_PAGE_SIZE); }
    port_region *region() const { return region_; }

    u32 mappings = 1;     ///< mmaps of the ring; under the event's lock
    port_rcu_head rcu{};

private:
    struct writer;
    u8 *page() const { return static_cast<u8 *>(port_region_addr(region_)); }
    bool has_space(u64 size) const;
    long output_locked(const perf_format &f, span<const u8> a, span<const u8> b, bool *wake);
    bool due(const perf_format &f);

    port_region *region_ = nullptr;
    u64 data_size_ = 0; ///< bytes, a power of two or 0
    u64 head_ = 0;
    u64 woken_ = 0;     ///< head at the last wake-up by bytes
    u64 watermark_ = 0;
    u64 lost_ = 0;      ///< records since the last one that went in; atomic
    u32 events_ = 0;    ///< since the last wake-up by events
    u32 busy_ = 0;      ///< the try-lock
    u32 ready_ = 0;     ///< poll: something new
    bool overwrite_ = false;
    bool paused_ = false;
};

}  // namespace modbpf
