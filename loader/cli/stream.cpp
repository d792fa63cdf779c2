// SPDX-License-Identifier: GPL-2.0-only
// Ring buffers, perf buffers and trace_pipe behind one epoll descriptor.
#include "loader/cli/stream.h"

#include "loader/cli/attach.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace cli {

namespace {

bool uses_trace(const struct bpf_program *p) {
    const struct bpf_insn *insn = bpf_program__insns(p);
    for (size_t i = 0; insn && i < bpf_program__insn_cnt(p); i++)
        if (insn[i].code == (BPF_JMP | BPF_CALL) && insn[i].src_reg == 0 &&
            (insn[i].imm == BPF_FUNC_trace_printk || insn[i].imm == BPF_FUNC_trace_vprintk))
            return true;
    return false;
}

} // namespace

record_stream::record_stream(output &out, bool raw, bool quiet)
    : out_(out), raw_(raw), quiet_(quiet), begun_(now()), epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

record_stream::~record_stream() {
    for (struct perf_buffer *p : perfs_)
        perf_buffer__free(p);
    ring_buffer__free(ring_);
    if (trace_ >= 0)
        close(trace_);
    if (epoll_ >= 0)
        close(epoll_);
}

void record_stream::record(source &s, const void *data, size_t size) {
    events_++;
    if (quiet_)
        return;
    if (s.typed_size != size) {
        s.typed_size = size;
        s.typed_as = raw_ ? 0 : record_type(s.btf, s.name.c_str(), size, s.padded);
    }
    if (out_.json()) {
        std::string value = s.typed_as ? json_value(s.btf, s.typed_as, data, size) : json_string(format_bytes(data, size));
        out_.line(json_head("event", now() - begun_) + "\"map\": " + json_string(s.name) + ", \"data\": " + value + "}");
        return;
    }
    out_.line(s.name + ": " + (s.typed_as ? format_value(s.btf, s.typed_as, data, size, true) : format_bytes(data, size)));
}

int record_stream::on_ring(void *ctx, void *data, size_t size) {
    source *s = static_cast<source *>(ctx);
    s->owner->record(*s, data, size);
    return stopped() ? -EINTR : 0;
}

void record_stream::on_perf(void *ctx, int, void *data, __u32 size) {
    source *s = static_cast<source *>(ctx);
    s->owner->record(*s, data, size);
}

void record_stream::on_lost(void *ctx, int cpu, __u64 n) {
    source *s = static_cast<source *>(ctx);
    record_stream *r = s->owner;
    r->lost_ += n;
    if (r->out_.json()) {
        r->out_.line(json_head("lost", now() - r->begun_) + "\"map\": " + json_string(s->name) + ", \"cpu\": " + std::to_string(cpu) +
                     ", \"count\": " + std::to_string(n) + "}");
    } else if (!r->quiet_) {
        r->out_.hide_status();
        complain("%s: %llu records lost on CPU %d: the reader was too slow", s->name.c_str(), static_cast<unsigned long long>(n), cpu);
    }
}

bool record_stream::watch(int fd) {
    epoll_event e = {};
    e.events = EPOLLIN;
    e.data.fd = fd;
    return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &e) == 0;
}

bool record_stream::open(struct bpf_object *object) {
    struct bpf_map *m;
    bpf_object__for_each_map(m, object) {
        enum bpf_map_type type = bpf_map__type(m);
        if (type != BPF_MAP_TYPE_RINGBUF && type != BPF_MAP_TYPE_PERF_EVENT_ARRAY)
            continue;
        bool perf = type == BPF_MAP_TYPE_PERF_EVENT_ARRAY;
        sources_.push_back(std::make_unique<source>(source{this, bpf_object__btf(object), bpf_map__name(m), perf}));
        source *src = sources_.back().get();
        int err = 0;
        if (perf) {
            struct perf_buffer *pb = perf_buffer__new(bpf_map__fd(m), 64, on_perf, on_lost, src, nullptr);
            err = pb ? 0 : errno;
            if (pb)
                perfs_.push_back(pb);
            if (pb && !watch(perf_buffer__epoll_fd(pb)))
                err = errno;
        } else if (!ring_) {
            ring_ = ring_buffer__new(bpf_map__fd(m), on_ring, src, nullptr);
            err = ring_ ? 0 : errno;
            if (ring_ && !watch(ring_buffer__epoll_fd(ring_)))
                err = errno;
        } else {
            err = -ring_buffer__add(ring_, bpf_map__fd(m), on_ring, src);
        }
        if (err) {
            explain_failure("cannot read the buffer", bpf_map__name(m), err);
            return false;
        }
    }
    return true;
}

void record_stream::open_trace(const std::vector<struct bpf_object *> &objects) {
    struct bpf_program *p;
    bool used = false;
    for (struct bpf_object *o : objects)
        bpf_object__for_each_program(p, o)
            used |= uses_trace(p);
    if (!used)
        return;
    for (const char *path : {"/sys/kernel/tracing/trace_pipe", "/sys/kernel/debug/tracing/trace_pipe"}) {
        trace_ = ::open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (trace_ >= 0)
            break;
    }
    if (trace_ < 0 || !watch(trace_))
        complain("bpf_trace_printk lines will not be shown: cannot open trace_pipe: %s; mount -t tracefs tracefs "
                 "/sys/kernel/tracing", strerror(errno));
}

/// Lines of other events than bpf_trace_printk are not ours.
void record_stream::trace_line(const std::string &line) {
    static constexpr std::string_view mark = "bpf_trace_printk: ";
    size_t at = line.find(mark);
    if (at == std::string::npos)
        return;
    events_++;
    if (quiet_)
        return;
    if (out_.json())
        out_.line(json_head("trace", now() - begun_) + "\"text\": " + json_string(line.substr(at + mark.size())) + "}");
    else
        out_.line(line);
}

void record_stream::drain_trace() {
    if (trace_ < 0)
        return;
    char chunk[8192];
    ssize_t n;
    while ((n = read(trace_, chunk, sizeof(chunk))) > 0) {
        trace_text_.append(chunk, static_cast<size_t>(n));
        size_t at = 0, end;
        while ((end = trace_text_.find('\n', at)) != std::string::npos) {
            trace_line(trace_text_.substr(at, end - at));
            at = end + 1;
        }
        trace_text_.erase(0, at);
    }
}

void record_stream::drain() {
    if (ring_)
        ring_buffer__consume(ring_);
    for (struct perf_buffer *p : perfs_)
        perf_buffer__consume(p);
    drain_trace();
    out_.flush();
}

bool record_stream::wait(double seconds) {
    epoll_event e[8];
    if (epoll_wait(epoll_, e, 8, static_cast<int>(std::max(seconds, 0.0) * 1000 + 1)) < 0 && errno != EINTR) {
        complain("waiting for events failed: %s", strerror(errno));
        return false;
    }
    drain();
    return true;
}

} // namespace cli
