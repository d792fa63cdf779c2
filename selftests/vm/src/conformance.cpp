// SPDX-License-Identifier: GPL-2.0-only
// The conformance rows (selftests/conformance/rows.h) on the device: each as programs that the kernel's own thunks, text and CPU run.
// Operands come out of the packet, so that the verifier knows none of them and no branch is decided before the JIT sees it.
// usage: conformance [compare]    compare: the kernel's own bpf() must return the same
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "bpf_calls.h"
#include "tap.h"

#include "selftests/conformance/rows.h"

using namespace modbpf;
using namespace modbpf::conformance;

static bool compare;
static unsigned programs, failures;

static bpf_insn insn(u8 code, u8 dst, u8 src, s16 off, s32 imm) {
    bpf_insn i = {};
    i.code = code, i.dst_reg = dst & 15, i.src_reg = src & 15, i.off = off, i.imm = imm;
    return i;
}

struct text : std::vector<bpf_insn> {
    text &add(u8 code, u8 dst, u8 src, s16 off, s32 imm) { return push_back(insn(code, dst, src, off, imm)), *this; }
    text &mov(u8 dst, u8 src) { return add(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0); }
    text &mov_imm(u8 dst, s32 v) { return add(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, v); }
    text &exit() { return add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }
    text &load(u8 dst, s16 off) { return add(BPF_LDX | BPF_MEM | BPF_DW, dst, BPF_REG_10, off, 0); }
    text &store(s16 off, u8 src) { return add(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, src, off, 0); }
};

/// Stack slots of the three operands, and where the packet has them.
constexpr s16 slot_a = -24, slot_b = -32, slot_c = -40;
constexpr unsigned packet_bytes = 64, packet_a = 16;
constexpr u32 no_packet = 0xdead;

/// Copies the operands from the packet to the stack. r1 is the context.
static text prologue() {
    text p;
    constexpr s16 skb_data = 76, skb_data_end = 80;
    p.add(BPF_LDX | BPF_MEM | BPF_W, 2, 1, skb_data, 0).add(BPF_LDX | BPF_MEM | BPF_W, 3, 1, skb_data_end, 0);
    p.mov(4, 2).add(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, packet_bytes);
    p.add(BPF_JMP | BPF_JLE | BPF_X, 4, 3, 2, 0).mov_imm(0, no_packet).exit();
    for (s16 i = 0; i < 3; i++)
        p.add(BPF_LDX | BPF_MEM | BPF_DW, 5, 2, static_cast<s16>(packet_a + 8 * i), 0).store(static_cast<s16>(slot_a - 8 * i), 5);
    return p;
}
/// r0 = the low half of `reg` + 3 times its high half: what a test run returns has 32 bits.
static text &fold(text &p, u8 reg) {
    if (reg)
        p.mov(0, reg);
    p.mov(1, 0).add(BPF_ALU64 | BPF_RSH | BPF_K, 1, 0, 0, 32).add(BPF_ALU64 | BPF_MUL | BPF_K, 1, 0, 0, 3);
    return p.add(BPF_ALU64 | BPF_ADD | BPF_X, 0, 1, 0, 0).exit();
}
static u32 folded(u64 v) { return static_cast<u32>(v + 3 * (v >> 32)); }

/// Loads as SCHED_CLS, runs, unloads. -> 0, or -errno.
static long run(bpf_call bpf, const text &p, const u64 operands[3], u32 *retval) {
    struct {
        u32 prog_type, insn_cnt;
        u64 insns, license;
        u32 log_level, log_size;
        u64 log_buf;
    } load = {BPF_PROG_TYPE_SCHED_CLS, static_cast<u32>(p.size()), reinterpret_cast<u64>(p.data()),
              reinterpret_cast<u64>("GPL"), 0, 0, 0};
    long fd = bpf(BPF_PROG_LOAD, &load, sizeof(load));
    if (fd < 0)
        return fd;
    u8 packet[packet_bytes] = {};
    memcpy(packet + packet_a, operands, 24);
    struct {
        u32 prog_fd, retval, size_in, size_out;
        u64 in, out;
        u32 repeat, duration;
    } test = {static_cast<u32>(fd), 0, sizeof(packet), 0, reinterpret_cast<u64>(packet), 0, 1, 0};
    long err = bpf(BPF_PROG_TEST_RUN, &test, sizeof(test));
    close(static_cast<int>(fd));
    *retval = test.retval;
    return err;
}

static void complain(const char *who, const char *what, unsigned row, unsigned dst, unsigned src, long err, u32 got, u32 want) {
    if (failures++ < 20)
        printf("# %s: %s row %u, r%u, r%u: error %ld, %#x instead of %#x\n", who, what, row, dst, src, err, got, want);
}

static void expect(const text &p, u64 a, u64 b, u64 c, u32 want, const char *what, unsigned row, unsigned dst, unsigned src) {
    const u64 operands[3] = {a, b, c};
    u32 got = 0;
    programs++;
    long err = run(our_bpf, p, operands, &got);
    if (err || got != want)
        complain("modbpf", what, row, dst, src, err, got, want);
    if (!compare)
        return;
    err = run(kernel_bpf, p, operands, &got);
    if (err || got != want)
        complain("the kernel", what, row, dst, src, err, got, want);
}

static bool fits_imm(u64 v) { return static_cast<s64>(v) == static_cast<s32>(v); }
static bool is_shift(u8 op) { return op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH; }
static bool is_division(u8 op) { return op == BPF_DIV || op == BPF_MOD; }
static u8 size_code(u8 bytes) { return bytes == 1 ? BPF_B : bytes == 2 ? BPF_H : bytes == 4 ? BPF_W : BPF_DW; }

/// Registers of the forms tested of a row: some for most, all pairs where native registers are fixed (divisions, shifts).
template <class F> static void pairs(unsigned row, bool all, F f) {
    for (u8 dst = 0; dst < 10; dst++)
        for (u8 src = 0; src < 10; src++)
            if (src != dst && (all ? (dst + src + row) % 3 == 0 : (7 * dst + src + 3 * row) % 29 == 0))
                f(dst, src);
}

static void test_alu() {
    unsigned row = 0;
    for (const alu_row &r : alu_rows) {
        u8 cls = r.width == 8 ? BPF_ALU64 : BPF_ALU;
        s16 off = r.is_signed ? 1 : 0;
        pairs(row, is_shift(r.op) || is_division(r.op), [&](u8 dst, u8 src) {
            text p = prologue();
            p.load(dst, slot_a).load(src, slot_b).add(cls | r.op | BPF_X, dst, src, off, 0);
            expect(fold(p, dst), r.a, r.b, 0, folded(r.want), "alu", row, dst, src);
        });
        bool has_imm = is_shift(r.op) ? r.b < r.width * 8u : fits_imm(r.b) && !(is_division(r.op) && r.b == 0);
        for (u8 dst = row % 3; has_imm && dst < 10; dst += 3) {
            text p = prologue();
            p.load(dst, slot_a).add(cls | r.op | BPF_K, dst, 0, off, static_cast<s32>(r.b));
            expect(fold(p, dst), r.a, r.b, 0, folded(r.want), "alu immediate", row, dst, dst);
        }
        row++;
    }
}

static void test_unary() {
    unsigned row = 0;
    for (const unary_row &r : unary_rows) {
        pairs(row, false, [&](u8 dst, u8 src) {
            text p = prologue();
            u8 cls = r.width == 8 ? BPF_ALU64 : BPF_ALU, result = r.op == unary_op::movsx ? dst : src;
            p.load(src, slot_a);
            if (r.op == unary_op::neg)
                p.add(cls | BPF_NEG, src, 0, 0, 0);
            else if (r.op == unary_op::movsx)
                p.add(cls | BPF_MOV | BPF_X, dst, src, static_cast<s16>(r.bytes * 8), 0);
            else if (r.op == unary_op::le || r.op == unary_op::be)
                p.add(BPF_ALU | BPF_END | (r.op == unary_op::be ? BPF_TO_BE : BPF_TO_LE), src, 0, 0, r.width * 8);
            else
                p.add(BPF_ALU64 | BPF_END, src, 0, 0, r.width * 8);
            expect(fold(p, result), r.a, 0, 0, folded(r.want), "unary", row, dst, src);
        });
        row++;
    }
}

static void test_branch() {
    unsigned row = 0;
    for (const branch_row &r : branch_rows) {
        u8 cls = r.width == 8 ? BPF_JMP : BPF_JMP32;
        for (s16 padding : {0, 40}) {  // short and long jumps
            auto finish = [&](text &p) -> text & {
                p.mov_imm(0, 0);
                for (s16 i = 0; i < padding; i++)
                    p.add(BPF_ALU64 | BPF_XOR | BPF_K, 0, 0, 0, 0x1000);  // an even number of times
                return p.exit().mov_imm(0, 1).exit();
            };
            auto off = static_cast<s16>(2 + padding);
            pairs(row, false, [&](u8 dst, u8 src) {
                text p = prologue();
                p.load(dst, slot_a).load(src, slot_b).add(cls | r.op | BPF_X, dst, src, off, 0);
                expect(finish(p), r.a, r.b, 0, r.taken, "branch", row, dst, src);
            });
            u8 dst = static_cast<u8>(row % 10);
            if (!fits_imm(r.b))
                continue;
            text p = prologue();
            p.load(dst, slot_a).add(cls | r.op | BPF_K, dst, 0, off, static_cast<s32>(r.b));
            expect(finish(p), r.a, r.b, 0, r.taken, "branch immediate", row, dst, dst);
        }
        row++;
    }
}

static void test_atomic() {
    unsigned row = 0;
    for (const atomic_row &r : atomic_rows) {
        for (u8 base = 1; base <= 10; base++)
            for (u8 src = 1; src < 10; src++) {
                if (src == base || (base + 2 * src + row) % 7)
                    continue;
                for (int which = 0; which < 3; which++) {
                    text p = prologue();
                    // The word worked on is slot_a, through the frame pointer or a register that points below it.
                    s16 off = slot_a;
                    if (base != 10)
                        p.mov(base, 10).add(BPF_ALU64 | BPF_ADD | BPF_K, base, 0, 0, -16), off = slot_a + 16;
                    p.load(src, slot_b).load(0, slot_c);
                    p.add(BPF_STX | BPF_ATOMIC | (r.width == 8 ? BPF_DW : BPF_W), base, src, off, r.op);
                    if (which == 0)
                        p.load(0, slot_a);
                    u64 want = which == 0 ? r.want_mem : which == 1 ? r.want_src : r.want_r0;
                    expect(fold(p, which == 1 ? src : 0), r.mem, r.src, r.r0, folded(want), "atomic", row, base, src);
                }
            }
        row++;
    }
}

static void test_memory() {
    unsigned row = 0;
    for (const load_row &r : load_rows) {
        pairs(row, false, [&](u8 dst, u8 base) {
            text p = prologue();
            p.mov(base, 10);
            p.add(BPF_LDX | (r.is_signed ? BPF_MEMSX : BPF_MEM) | size_code(r.bytes), dst, base, static_cast<s16>(slot_a + r.off), 0);
            expect(fold(p, dst), r.mem, 0, 0, folded(r.want), "load", row, dst, base);
        });
        row++;
    }
    for (const store_row &r : store_rows) {
        for (u8 src = 0; src < 10; src++) {
            text p = prologue();
            p.load(src, slot_b);
            p.add(BPF_STX | BPF_MEM | size_code(r.bytes), 10, src, static_cast<s16>(slot_a + r.off), 0).load(0, slot_a);
            expect(fold(p, 0), ones, r.v, 0, folded(r.want), "store", row, 10, src);
        }
        if (fits_imm(r.v)) {
            text p = prologue();
            p.mov(7, 10).add(BPF_ST | BPF_MEM | size_code(r.bytes), 7, 0, static_cast<s16>(slot_a + r.off), static_cast<s32>(r.v));
            expect(fold(p.load(0, slot_a), 0), ones, r.v, 0, folded(r.want), "store immediate", row, 7, 7);
        }
        row++;
    }
}

int main(int argc, char **argv) {
    compare = argc > 1 && !strcmp(argv[1], "compare");
    static const struct {
        const char *name;
        void (*test)();
    } parts[] = {{"alu", test_alu}, {"unary", test_unary}, {"branch", test_branch}, {"atomic", test_atomic}, {"memory", test_memory}};
    for (auto &part : parts) {
        programs = failures = 0;
        part.test();
        ok(programs > 50 && !failures, "conformance: %s: %u programs%s", part.name, programs, compare ? ", as the kernel's own" : "");
    }
    return tap_exit();
}
