// SPDX-License-Identifier: GPL-2.0-only
#include "prog/test_run.h"

#include "helpers/packet.h"
#include "prog/prog.h"

namespace modbpf {

namespace {

constexpr u32 eth_header_size = 14, ip_header_size = 20, ip6_header_size = 40;
constexpr u16 eth_p_ip = 0x0800, eth_p_ipv6 = 0x86dd, eth_p_802_3 = 0x0001, eth_p_802_2 = 0x0004,
              eth_p_802_3_min = 0x0600;
constexpr u32 skb_headroom = 64;    // NET_SKB_PAD + NET_IP_ALIGN
constexpr u32 skb_buffer = 2 * PORT_PAGE_SIZE, skb_frame_at = 1024; // room for helpers that make the packet longer at either end
constexpr u32 xdp_headroom = 256;   // XDP_PACKET_HEADROOM
constexpr u32 xdp_frame_size = 40;  // what the kernel keeps in front of a frame
constexpr u32 live_page_head = 112; // what the kernel puts into the headroom of a live frame
constexpr u32 live_batch_max = 256;
constexpr u32 tailroom = 320;       // struct skb_shared_info, aligned
constexpr u32 meta_max = 255;
constexpr u32 frags_max = 17;  // MAX_SKB_FRAGS pages
constexpr u32 loopback_ifindex = 1;
constexpr u32 wire_len_max = 65536, gso_segs_max = 65535;
constexpr u32 raw_args = 12;
constexpr u32 syscall_ctx_max = 0xffff;

// Offsets in struct __sk_buff and struct xdp_md.
enum : u32 {
    skb_len = 0,
    skb_pkt_type = 4,
    skb_mark = 8,
    skb_protocol = 16,
    skb_priority = 32,
    skb_ingress_ifindex = 36,
    skb_ifindex = 40,
    skb_cb = 48,
    skb_cb_end = 68,
    skb_tstamp = 152,
    skb_wire_len = 160,
    skb_gso_segs = 164,
    skb_gso_segs_end = 168,
    skb_gso_size = 176,
    skb_gso_size_end = 180,
    skb_hwtstamp = 184,
    skb_hwtstamp_end = 192,
};
enum : u32 {
    md_data = 0,
    md_data_end = 4,
    md_data_meta = 8,
    md_ingress_ifindex = 12,
    md_rx_queue = 16,
    md_egress_ifindex = 20
};

u32 get32(const u8 *p, u32 off) {
    u32 v;
    memcpy(&v, p + off, 4);
    return v;
}
void put32(u8 *p, u32 off, u32 v) {
    memcpy(p + off, &v, 4);
}

bool zero_between(const u8 *p, u32 from, u32 to) {
    for (u32 i = from; i < to; i++)
        if (p[i])
            return false;
    return true;
}

/// Memory that goes with its scope.
class buffer {
public:
    buffer() = default;
    ~buffer() { port_free(p_); }
    buffer(const buffer &) = delete;
    status alloc(u32 size) {
        p_ = static_cast<u8 *>(port_alloc(size, PORT_SLEEPING));
        return p_ ? status{} : error(ENOMEM);
    }
    u8 *get() const { return p_; }

private:
    u8 *p_ = nullptr;
};

struct run_once_args {
    program *p;
    const void *ctx;
    const packet_run *packet;
    u32 retval;
};

// Preemption off.
void run_once(void *arg) {
    auto *a = static_cast<run_once_args *>(arg);
    rcu_read_guard rcu;
    run_ctx run{};
    run.packet = a->packet;
    a->retval = run_counted(a->p, a->ctx, run);
}

/// Runs `repeat` times. Between any two runs the CPU is given up when something waits for it, and a signal ends it all: a run may take
/// long, and how long the next one takes is not known from the last.
status run_repeated(run_once_args &a, u32 repeat, u32 *duration) {
    u64 spent = 0;
    u32 done = 0;
    if (!repeat)
        repeat = 1;
    while (done < repeat) {
        preempt_guard preempt;
        u64 start = port_ktime_ns();
        do {
            run_once(&a);
            done++;
        } while (done < repeat && !port_need_resched() && !port_signal_pending());
        spent += port_ktime_ns() - start;
        if (done == repeat)
            break;
        if (port_signal_pending())
            return error(EINTR);
        port_preempt_enable();
        port_cond_resched();
        port_preempt_disable();
    }
    *duration = static_cast<u32>(min<u64>(spent / repeat, 0xffffffff));
    return {};
}

// ---- context in and out ----

/// The context that the caller brought, zero-extended to `size`; `present` is false when there is neither input nor
/// output.
struct user_ctx {
    bool present = false;
    u8 bytes[user_skb_size] __attribute__((aligned(8))) = {};

    status read(const test_run_request &req, u32 size);
    status write(const test_run_request &req, test_run_result &res, u32 size) const;
};

status user_ctx::read(const test_run_request &req, u32 size) {
    present = req.ctx_in || req.ctx_out;
    if (!req.ctx_in)
        return {};
    if (req.ctx_size_in > PORT_PAGE_SIZE)
        return error(E2BIG);
    u8 chunk[64];
    for (u32 at = size; at < req.ctx_size_in; at += sizeof(chunk)) {
        u32 n = min<u32>(sizeof(chunk), req.ctx_size_in - at);
        if (port_copy_from_user(chunk, req.ctx_in + at, n))
            return error(EFAULT);
        if (!zero_between(chunk, 0, n))
            return error(E2BIG);
    }
    if (port_copy_from_user(bytes, req.ctx_in, min(size, req.ctx_size_in)))
        return error(EFAULT);
    return {};
}

status user_ctx::write(const test_run_request &req, test_run_result &res, u32 size) const {
    if (!present || !req.ctx_out)
        return {};
    if (port_copy_to_user(req.ctx_out, bytes, min(size, req.ctx_size_out)))
        return error(EFAULT);
    res.has_ctx_size = true;
    res.ctx_size_out = size;
    return size > req.ctx_size_out ? error(ENOSPC) : status{};
}

// ---- packet out ----

/// Gives the packet back. With a capacity that is too small Linux cuts the linear part first and then appends
/// fragments.
status give_back(const test_run_request &req, test_run_result &res, const run_once_args &a, u32 duration, const u8 *linear,
                 u32 linear_size, const u8 *frags, u32 frags_size) {
    u32 size = linear_size + frags_size, copy = size;
    bool cut = req.data_size_out && size > req.data_size_out;
    if (cut)
        copy = req.data_size_out;
    if (req.data_out) {
        if (copy < frags_size)
            return error(ENOSPC);
        u32 head = copy - frags_size;
        if (port_copy_to_user(req.data_out, linear, head) ||
            (frags_size && port_copy_to_user(req.data_out + head, frags, frags_size)))
            return error(cut ? ENOSPC : EFAULT);  // Linux says first that it is too short
    }
    res = {true, true, true, false, a.retval, duration, size, 0};
    return cut ? error(ENOSPC) : status{};
}

/// Gives all back. The last word on the result, which may then be a positive number, is that of programs at the end of test runs.
status finish(const test_run_request &req, test_run_result &res, const run_once_args &a, u32 duration, const u8 *linear,
              u32 linear_size, const u8 *frags, u32 frags_size) {
    int outcome = give_back(req, res, a, duration, linear, linear_size, frags, frags_size).code();
    port_test_run_ended(&outcome);
    return outcome ? status(error(-outcome)) : status();
}

// ---- SOCKET_FILTER and SCHED_CLS ----

/// Protocol in network order, as the kernel's eth_type_trans finds it. `frame` has at least an Ethernet header.
u16 packet_protocol(const u8 *frame, u32 size) {
    u16 type = static_cast<u16>(frame[12] << 8 | frame[13]);
    if (type < eth_p_802_3_min) {
        bool raw = size >= eth_header_size + 2 && frame[14] == 0xff && frame[15] == 0xff;
        type = raw ? eth_p_802_3 : eth_p_802_2;
    }
    return static_cast<u16>(type << 8 | type >> 8);
}

/// PACKET_HOST, MULTICAST or OTHERHOST, seen from the loopback device, whose addresses are all zero.
u32 packet_kind(const u8 *frame) {
    if (zero_between(frame, 0, 6))
        return 0;
    return frame[0] & 1 ? 2 : 3;
}

/// Fields that __sk_buff input may set; EINVAL for the others.
status check_skb_ctx(const u8 *c) {
    bool ok = zero_between(c, 0, skb_mark) && zero_between(c, skb_mark + 4, skb_priority) &&
              zero_between(c, skb_ifindex + 4, skb_cb) && zero_between(c, skb_cb_end, skb_tstamp) &&
              zero_between(c, skb_gso_segs_end, skb_gso_size) && zero_between(c, skb_gso_size_end, skb_hwtstamp);
    return ok ? status{} : error(EINVAL);
}

status take_skb_ctx(const u8 *c, packet_run &run, u32 len) {
    TRY(check_skb_ctx(c));
    put32(run.user, skb_mark, get32(c, skb_mark));
    put32(run.user, skb_priority, get32(c, skb_priority));
    put32(run.user, skb_ingress_ifindex, get32(c, skb_ingress_ifindex));
    memcpy(run.user + skb_tstamp, c + skb_tstamp, 8);
    memcpy(run.user + skb_cb, c + skb_cb, skb_cb_end - skb_cb);
    u32 wire = get32(c, skb_wire_len);
    if (wire && (wire < len || wire > wire_len_max))
        return error(EINVAL);
    put32(run.user, skb_wire_len, wire ? wire : len);
    if (get32(c, skb_gso_segs) > gso_segs_max)
        return error(EINVAL);
    put32(run.user, skb_gso_segs, get32(c, skb_gso_segs));
    put32(run.user, skb_gso_size, get32(c, skb_gso_size) & 0xffff);
    memcpy(run.user + skb_hwtstamp, c + skb_hwtstamp, 8);
    return {};
}

void give_skb_ctx(u8 *c, const packet_run &run) {
    constexpr u32 words[] = {skb_mark, skb_priority, skb_ingress_ifindex, skb_ifindex, skb_wire_len, skb_gso_segs};
    for (u32 off : words)
        put32(c, off, get32(run.user, off));
    memcpy(c + skb_tstamp, run.user + skb_tstamp, 8);
    memcpy(c + skb_cb, run.user + skb_cb, skb_cb_end - skb_cb);
    memcpy(c + skb_hwtstamp, run.user + skb_hwtstamp, 8);
}

/// The types that get the Ethernet header, too.
bool sees_link_layer(const program *p) {
    return p->type->type == BPF_PROG_TYPE_SCHED_CLS || p->type->type == BPF_PROG_TYPE_SCHED_ACT;
}

/// The socket that a test run's packet belongs to: nobody's, closed, with the packet's addresses.
void give_socket(packet_run &run, u16 type, const u8 *ip) {
    constexpr u32 af_inet = 2, af_inet6 = 10, tcp_close = 7;
    constexpr u32 skb_family = 88, skb_remote_ip4 = 92, skb_local_ip4 = 96, skb_remote_ip6 = 100, skb_local_ip6 = 116;
    run.sk = addr_of(run.sock);
    put32(run.sock, sock_at_state, tcp_close);
    put32(run.sock, sock_at_rx_queue, ~0u);
    if (type == eth_p_ip) {
        put32(run.sock, sock_at_family, af_inet);
        memcpy(run.sock + sock_at_src_ip4, ip + 12, 4);
        memcpy(run.sock + sock_at_dst_ip4, ip + 16, 4);
    } else if (type == eth_p_ipv6) {
        put32(run.sock, sock_at_family, af_inet6);
        memcpy(run.sock + sock_at_src_ip6, ip + 8, 16);
        memcpy(run.sock + sock_at_dst_ip6, ip + 24, 16);
    }
    memcpy(run.user + skb_family, run.sock + sock_at_family, 4);
    memcpy(run.user + skb_remote_ip4, run.sock + sock_at_dst_ip4, 4);
    memcpy(run.user + skb_local_ip4, run.sock + sock_at_src_ip4, 4);
    memcpy(run.user + skb_remote_ip6, run.sock + sock_at_dst_ip6, 16);
    memcpy(run.user + skb_local_ip6, run.sock + sock_at_src_ip6, 16);
}

status prepare_skb(const program *p, const test_run_request &req, const user_ctx &ctx, u8 *frame, packet_run &run) {
    u32 size = req.data_size_in;
    u32 ifindex = get32(ctx.bytes, skb_ifindex);
    if (ifindex > loopback_ifindex)
        return error(ENODEV);
    u16 protocol = packet_protocol(frame, size);
    u32 payload = size - eth_header_size;
    u16 type = static_cast<u16>(protocol << 8 | protocol >> 8);
    if ((type == eth_p_ip && payload < ip_header_size) || (type == eth_p_ipv6 && payload < ip6_header_size))
        return error(EINVAL);

    bool l2 = sees_link_layer(p);
    run.mac_header = addr_of(frame);
    run.net_header = run.mac_header + eth_header_size;
    run.data = run.data_meta = l2 ? run.mac_header : run.net_header;
    run.data_end = run.mac_header + size;
    run.hard_start = run.mac_header - skb_frame_at + eth_header_size; // a header is pushed behind the run
    run.hard_end = run.mac_header - skb_frame_at + skb_buffer - tailroom;
    u32 len = l2 ? size : payload;
    put32(run.user, skb_len, len);
    put32(run.user, skb_pkt_type, packet_kind(frame));
    put32(run.user, skb_protocol, protocol);
    put32(run.user, skb_ifindex, loopback_ifindex);
    give_socket(run, type, frame + eth_header_size);
    return ctx.present ? take_skb_ctx(ctx.bytes, run, len) : status{};
}

status test_run_skb(program *p, const test_run_request &req, test_run_result &res) {
    u32 size = req.data_size_in;
    if ((req.flags & ~BPF_F_TEST_SKB_CHECKSUM_COMPLETE) || req.cpu || req.batch_size || size < eth_header_size)
        return error(EINVAL);
    if (size > PORT_PAGE_SIZE - skb_headroom - tailroom)
        return error(EINVAL);
    buffer data;
    TRY(data.alloc(skb_buffer));
    u8 *frame = data.get() + skb_frame_at;
    if (port_copy_from_user(frame, req.data_in, size))
        return error(EFAULT);
    user_ctx ctx;
    TRY(ctx.read(req, user_skb_size));
    packet_run run{};
    TRY(prepare_skb(p, req, ctx, frame, run));

    run.csum_complete = req.flags & BPF_F_TEST_SKB_CHECKSUM_COMPLETE;
    run.csum = packet_sum(ptr_of<u8>(run.net_header), static_cast<u32>(run.data_end - run.net_header));
    run_once_args a{p, &run, &run, 0};
    u32 duration = 0;
    TRY(run_repeated(a, req.repeat, &duration));
    if (!sees_link_layer(p)) { // Linux pushes an empty header in front of what the program saw
        run.data -= eth_header_size;
        memset(ptr_of(run.data), 0, eth_header_size);
    }
    if (run.csum_complete) {
        u64 from = run.net_header;
        u32 sum = from <= run.data_end ? packet_sum(ptr_of<u8>(from), static_cast<u32>(run.data_end - from)) : 0;
        if (fold_sum(sum) != fold_sum(run.csum))
            return error(EBADMSG);
    }
    give_skb_ctx(ctx.bytes, run);
    TRY(finish(req, res, a, duration, ptr_of<u8>(run.data), static_cast<u32>(run.data_end - run.data), nullptr, 0));
    return ctx.write(req, res, user_skb_size);
}

// ---- XDP ----

/// How the input is cut into headroom, metadata, linear part and fragments.
struct xdp_layout {
    u32 headroom = xdp_headroom;
    u32 meta = 0;
    u32 linear;  ///< metadata included
    u32 frags;
};

/// live: the kernel's limits for frames that are really sent, which have no fragments and give nothing back.
status plan_xdp(const test_run_request &req, const user_ctx &ctx, bool live, xdp_layout &l) {
    u32 linear = req.data_size_in;
    if (ctx.present) {
        u32 data = get32(ctx.bytes, md_data), end = get32(ctx.bytes, md_data_end);
        if (get32(ctx.bytes, md_data_meta) || end > req.data_size_in || data > end)
            return error(EINVAL);
        if (live && (req.data_out || req.ctx_out))
            return error(EINVAL);
        if (data % 4 || data > meta_max || data > l.headroom - xdp_frame_size)
            return error(EINVAL);
        l.meta = data;
        l.headroom -= data;
        linear = end;
    }
    l.linear = min(linear, PORT_PAGE_SIZE - l.headroom - tailroom - (live ? live_page_head : 0));
    if (live && req.data_size_in > l.linear)
        return error(EINVAL);
    l.frags = req.data_size_in - l.linear;
    return req.data_size_in - l.meta < eth_header_size ? error(EINVAL) : status{};
}

status check_xdp_ctx(const u8 *c) {
    u32 ifindex = get32(c, md_ingress_ifindex), queue = get32(c, md_rx_queue);
    if (get32(c, md_egress_ifindex) || (!ifindex && queue))
        return error(EINVAL);
    if (ifindex > loopback_ifindex)
        return error(ENODEV);
    return queue ? error(EINVAL) : status{};  // the loopback device has one queue
}

status test_run_xdp(program *p, const test_run_request &req, test_run_result &res) {
    if (p->expected_attach_type == BPF_XDP_DEVMAP || p->expected_attach_type == BPF_XDP_CPUMAP ||
        (req.flags & ~BPF_F_TEST_XDP_LIVE_FRAMES))
        return error(EINVAL);
    bool live = req.flags & BPF_F_TEST_XDP_LIVE_FRAMES;
    if (req.batch_size > (live ? live_batch_max : 0))
        return error(live ? E2BIG : EINVAL);
    user_ctx ctx;
    TRY(ctx.read(req, user_xdp_size));
    xdp_layout l;
    TRY(plan_xdp(req, ctx, live, l));
    buffer data, frags;
    TRY(data.alloc(PORT_PAGE_SIZE));
    u8 *meta = data.get() + l.headroom;
    if (port_copy_from_user(meta, req.data_in, l.linear))
        return error(EFAULT);
    if (ctx.present)
        TRY(check_xdp_ctx(ctx.bytes));
    if (live)  // right in itself, but there is no device to send from
        return error(EOPNOTSUPP);
    if (l.frags > frags_max * PORT_PAGE_SIZE)
        return error(ENOMEM);
    if (l.frags) {
        TRY(frags.alloc(l.frags));
        if (port_copy_from_user(frags.get(), req.data_in + l.linear, l.frags))
            return error(EFAULT);
    }

    packet_run run{};
    run.data_meta = addr_of(meta);
    run.data = run.mac_header = run.data_meta + l.meta;
    run.net_header = run.data + eth_header_size;
    run.data_end = run.data_meta + l.linear;
    run.hard_start = addr_of(data.get()) + xdp_frame_size;
    run.hard_end = addr_of(data.get()) + PORT_PAGE_SIZE - tailroom;
    run.frags = addr_of(frags.get());
    run.frag_size = l.frags;
    put32(run.user, md_ingress_ifindex, loopback_ifindex);
    run_once_args a{p, &run, &run, 0};
    u32 duration = 0;
    TRY(run_repeated(a, req.repeat, &duration));

    put32(ctx.bytes, md_data, static_cast<u32>(run.data - run.data_meta));
    put32(ctx.bytes, md_data_end, static_cast<u32>(run.data_end - run.data_meta));
    TRY(finish(req, res, a, duration, ptr_of<u8>(run.data_meta), static_cast<u32>(run.data_end - run.data_meta),
               frags.get(), l.frags));
    return ctx.write(req, res, user_xdp_size);
}

// ---- RAW_TRACEPOINT ----

status test_run_raw_tp(program *p, const test_run_request &req, test_run_result &res) {
    if (req.data_in || req.data_out || req.ctx_out || req.duration || req.repeat || req.batch_size)
        return error(EINVAL);
    if (req.ctx_size_in < p->verified->max_ctx_offset || req.ctx_size_in > raw_args * sizeof(u64))
        return error(EINVAL);
    bool on_cpu = req.flags & BPF_F_TEST_RUN_ON_CPU;
    if (!on_cpu && req.cpu)
        return error(EINVAL);
    u64 args[raw_args] = {};
    if (req.ctx_size_in && port_copy_from_user(args, req.ctx_in, req.ctx_size_in))
        return error(EFAULT);

    run_once_args a{p, args, nullptr, 0};
    if (on_cpu) {
        if (int err = port_call_on_cpu(req.cpu, run_once, &a))
            return error(-err);
    } else {
        preempt_guard preempt;
        run_once(&a);
    }
    res.has_retval = true;
    res.retval = a.retval;
    return {};
}

// ---- SYSCALL ----

status test_run_syscall(program *p, const test_run_request &req, test_run_result &res) {
    if (req.data_in || req.data_out || req.ctx_out || req.duration || req.repeat || req.flags || req.batch_size)
        return error(EINVAL);
    if (req.ctx_size_in < p->verified->max_ctx_offset || req.ctx_size_in > syscall_ctx_max)
        return error(EINVAL);
    buffer ctx;
    if (req.ctx_size_in) {
        TRY(ctx.alloc(req.ctx_size_in));
        if (port_copy_from_user(ctx.get(), req.ctx_in, req.ctx_size_in))
            return error(EFAULT);
    }
    res.has_retval = true;
    res.retval = run_sleepable(p, ctx.get());
    if (req.ctx_size_in && port_copy_to_user(req.ctx_in, ctx.get(), req.ctx_size_in))
        return error(EFAULT);
    return {};
}

// ---- TRACING ----

/// Calls functions of the kernel; whether this program or any other stands at them does not matter.
status test_run_tracing(const program *p, const test_run_request &req, test_run_result &res) {
    if (req.flags || req.cpu || req.batch_size)
        return error(EINVAL);
    bool modify = p->expected_attach_type == BPF_MODIFY_RETURN;
    if (!modify && p->expected_attach_type != BPF_TRACE_FENTRY && p->expected_attach_type != BPF_TRACE_FEXIT)
        return error(EFAULT);
    if (int err = port_call_test_functions(modify, &res.retval))
        return error(-err);
    res.has_retval = true;
    return {};
}

}  // namespace

status prog_test_run(program *p, const test_run_request &req, test_run_result &res) {
    res = {};
    switch (p->type->type) {
        case BPF_PROG_TYPE_SOCKET_FILTER:
        case BPF_PROG_TYPE_SCHED_CLS:
        case BPF_PROG_TYPE_SCHED_ACT:
        case BPF_PROG_TYPE_CGROUP_SKB:
        case BPF_PROG_TYPE_LWT_IN:
        case BPF_PROG_TYPE_LWT_OUT:
        case BPF_PROG_TYPE_LWT_XMIT:
            return test_run_skb(p, req, res);
        case BPF_PROG_TYPE_XDP:
            return test_run_xdp(p, req, res);
        case BPF_PROG_TYPE_SYSCALL:
            return test_run_syscall(p, req, res);
        case BPF_PROG_TYPE_RAW_TRACEPOINT:
            return test_run_raw_tp(p, req, res);
        case BPF_PROG_TYPE_TRACING:
            return test_run_tracing(p, req, res);
        default:
            return error(ENOTSUPP);
    }
}

}  // namespace modbpf
