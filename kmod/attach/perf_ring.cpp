// SPDX-License-Identifier: GPL-2.0-only
#include "attach/perf_ring.h"

#include "base/bits.h"

namespace modbpf {

namespace {

// struct perf_event_mmap_page: offsets of the fields that are used.
enum : u32 { page_capabilities = 40, page_size_field = 72, page_reserved = 96, page_head = 1024, page_tail = 1032,
             page_data_offset = 1040, page_data_size = 1048 };
constexpr u64 cap_bit0_is_deprecated = 2;

struct record_header {
    u32 type;
    u16 misc;
    u16 size;
};
enum : u32 { PERF_RECORD_LOST = 2, PERF_RECORD_SAMPLE = 9 };
constexpr u16 PERF_RECORD_MISC_KERNEL = 1;

u64 *word(u8 *page, u32 off) { return reinterpret_cast<u64 *>(page + off); }

/// Bytes of the identity fields in a sample, without header and raw data.
u32 sample_fields(u64 t) {
    constexpr u64 words = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR | PERF_SAMPLE_ID | PERF_SAMPLE_CPU |
                          PERF_SAMPLE_PERIOD | PERF_SAMPLE_STREAM_ID | PERF_SAMPLE_IDENTIFIER;
    return popcount(t & words) * 8;
}
/// Bytes that sample_id_all adds to records that are not samples.
u32 trailer_fields(const perf_format &f) {
    constexpr u64 words = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ID | PERF_SAMPLE_STREAM_ID | PERF_SAMPLE_CPU |
                          PERF_SAMPLE_IDENTIFIER;
    return f.sample_id_all ? popcount(f.sample_type & words) * 8 : 0;
}
u64 tid_word() {
    u64 t = port_current_pid_tgid();
    return t >> 32 | t << 32; // pid (the process) first, then tid
}

}  // namespace

/// A cursor in the mirrored data area; the caller has reserved the bytes.
struct perf_ring::writer {
    u8 *at;
    void put(const void *p, size_t n) {
        if (n)
            memcpy(at, p, n);
        at += n;
    }
    template <class T> void value(T v) { put(&v, sizeof(v)); }

    void identity(const perf_format &f) {
        u64 t = f.sample_type;
        if (t & PERF_SAMPLE_IDENTIFIER)
            value(f.id);
        if (t & PERF_SAMPLE_TID)
            value(tid_word());
        if (t & PERF_SAMPLE_TIME)
            value(port_ktime_ns());
        if (t & PERF_SAMPLE_ADDR)
            value<u64>(0);
        if (t & PERF_SAMPLE_ID)
            value(f.id);
        if (t & PERF_SAMPLE_STREAM_ID)
            value(f.id);
        if (t & PERF_SAMPLE_CPU)
            value<u64>(port_cpu_id());
        if (t & PERF_SAMPLE_PERIOD)
            value(f.period);
    }
    void lost(const perf_format &f, u64 count) {
        u32 extra = trailer_fields(f);
        value(record_header{PERF_RECORD_LOST, 0, static_cast<u16>(sizeof(record_header) + 16 + extra)});
        value(f.id);
        value(count);
        if (!extra)
            return;
        u64 t = f.sample_type;
        if (t & PERF_SAMPLE_TID)
            value(tid_word());
        if (t & PERF_SAMPLE_TIME)
            value(port_ktime_ns());
        if (t & PERF_SAMPLE_ID)
            value(f.id);
        if (t & PERF_SAMPLE_STREAM_ID)
            value(f.id);
        if (t & PERF_SAMPLE_CPU)
            value<u64>(port_cpu_id());
        if (t & PERF_SAMPLE_IDENTIFIER)
            value(f.id);
    }
};

result<perf_ring *> perf_ring::create(u32 data_pages, bool overwrite, const perf_format &f) {
    own<perf_ring> r(make<perf_ring>(PORT_SLEEPING));
    if (!r)
        return error(ENOMEM);
    u64 data = static_cast<u64>(data_pages) * PORT_PAGE_SIZE;
    r->region_ = port_region_create(PORT_PAGE_SIZE + data, data);
    if (!r->region_)
        return error(ENOMEM);
    r->data_size_ = data;
    r->overwrite_ = overwrite;
    r->watermark_ = f.watermark && f.wakeup ? min<u64>(data, f.wakeup) : data / 2;
    u8 *p = r->page();
    *word(p, page_capabilities) = cap_bit0_is_deprecated;
    u32 used = page_reserved;
    memcpy(p + page_size_field, &used, sizeof(used));
    *word(p, page_data_offset) = PORT_PAGE_SIZE;
    *word(p, page_data_size) = data;
    return r.release();
}

status perf_ring::pause(bool on) {
    if (!data_size_)
        return error(EINVAL);
    __atomic_store_n(&paused_, on, __ATOMIC_RELAXED);
    return {};
}

bool perf_ring::has_space(u64 size) const {
    if (overwrite_)
        return size < data_size_;
    u64 tail = __atomic_load_n(word(page(), page_tail), __ATOMIC_ACQUIRE);
    return ((tail - (head_ + 1)) & (data_size_ - 1)) >= size; // one byte stays free: full is not empty
}

/// Is it time to wake the reader? By bytes in any case, by events unless the attributes ask for bytes.
bool perf_ring::due(const perf_format &f) {
    bool wake = false;
    if (head_ - woken_ > watermark_) {
        woken_ = head_;
        wake = true;
    }
    if (!f.watermark && f.wakeup && ++events_ >= f.wakeup) {
        events_ = 0;
        wake = true;
    }
    return wake;
}

long perf_ring::output_locked(const perf_format &f, span<const u8> a, span<const u8> b, bool *wake) {
    bool raw = f.sample_type & PERF_SAMPLE_RAW;
    u64 body = a.size() + b.size();
    // Linux pads so that size word and data together are a multiple of 8; the size word counts the padding.
    u64 raw_size = raw ? align_up(body + sizeof(u32), 8) : 0;
    u64 sample = sizeof(record_header) + sample_fields(f.sample_type) + raw_size;
    if (sample > 0xffff)
        return -E2BIG;
    u64 lost = __atomic_load_n(&lost_, __ATOMIC_RELAXED);
    u64 need = sample + (lost ? sizeof(record_header) + 16 + trailer_fields(f) : 0);
    if (!has_space(need)) {
        __atomic_fetch_add(&lost_, 1, __ATOMIC_RELAXED);
        return -ENOSPC;
    }
    writer w{page() + PORT_PAGE_SIZE + (head_ & (data_size_ - 1))};
    if (lost)
        w.lost(f, __atomic_exchange_n(&lost_, 0, __ATOMIC_RELAXED));
    w.value(record_header{PERF_RECORD_SAMPLE, PERF_RECORD_MISC_KERNEL, static_cast<u16>(sample)});
    w.identity(f);
    if (raw) {
        static constexpr u8 zeros[8] = {};
        w.value(static_cast<u32>(raw_size - sizeof(u32)));
        w.put(a.data(), a.size());
        w.put(b.data(), b.size());
        w.put(zeros, raw_size - sizeof(u32) - body);
    }
    head_ += need;
    __atomic_store_n(word(page(), page_head), head_, __ATOMIC_RELEASE);
    *wake = due(f);
    if (*wake)
        __atomic_store_n(&ready_, 1, __ATOMIC_RELEASE);
    return 0;
}

long perf_ring::output(const perf_format &f, span<const u8> a, span<const u8> b, bool *wake) {
    *wake = false;
    if (!data_size_)
        return -ENOSPC;
    if (__atomic_load_n(&paused_, __ATOMIC_RELAXED)) {
        __atomic_fetch_add(&lost_, 1, __ATOMIC_RELAXED);
        return -ENOSPC;
    }
    unsigned long flags = port_irq_save();
    long rc = -ENOSPC;
    if (__atomic_exchange_n(&busy_, 1, __ATOMIC_ACQUIRE)) {
        __atomic_fetch_add(&lost_, 1, __ATOMIC_RELAXED);
    } else {
        rc = output_locked(f, a, b, wake);
        __atomic_store_n(&busy_, 0, __ATOMIC_RELEASE);
    }
    port_irq_restore(flags);
    return rc;
}

}  // namespace modbpf
