// SPDX-License-Identifier: GPL-2.0-only
// Records that programs send while they run: ring buffers, perf buffers, lines of bpf_trace_printk.
#pragma once

#include "loader/cli/cli.h"
#include "loader/cli/output.h"

#include <memory>

namespace cli {

class record_stream {
public:
    /// `raw`: records as bytes. `quiet`: counted, not shown.
    record_stream(output &out, bool raw, bool quiet);
    ~record_stream();
    record_stream(const record_stream &) = delete;

    /// The buffers of one object; false, with a message.
    bool open(struct bpf_object *object);
    /// trace_pipe, when a program prints there; before anything is attached, so that no line is missed.
    void open_trace(const std::vector<struct bpf_object *> &objects);
    /// Waits for so long at the most, and takes what has come. False, with a message, when waiting is impossible.
    bool wait(double seconds);
    /// Takes what is there.
    void drain();

    __u64 events() const { return events_; }
    /// What the kernel threw away because a perf buffer was full.
    __u64 lost() const { return lost_; }

private:
    /// A map that streams records.
    struct source {
        record_stream *owner;
        const struct btf *btf;
        std::string name;
        bool padded;
        size_t typed_size = 0; ///< of the last record: its type need not be searched again
        __u32 typed_as = 0;
    };
    static int on_ring(void *ctx, void *data, size_t size);
    static void on_perf(void *ctx, int, void *data, __u32 size);
    static void on_lost(void *ctx, int cpu, __u64 n);
    void record(source &s, const void *data, size_t size);
    bool watch(int fd);
    void drain_trace();
    void trace_line(const std::string &line);

    output &out_;
    bool raw_, quiet_;
    double begun_;
    __u64 events_ = 0, lost_ = 0;
    std::vector<std::unique_ptr<source>> sources_;
    struct ring_buffer *ring_ = nullptr;
    std::vector<struct perf_buffer *> perfs_;
    int trace_ = -1, epoll_;
    std::string trace_text_; ///< the unfinished line
};

} // namespace cli
