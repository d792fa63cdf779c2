// SPDX-License-Identifier: GPL-2.0-only
#include "image.h"

#include <capstone/capstone.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

extern "C" const char __x86_return_thunk[] __attribute__((visibility("hidden")));

namespace modbpf::bench {

namespace {

constexpr size_t memory_size = 1 << 20;
constexpr u32 thunk_at = 0, trap_at = 64, code_at = 128; ///< in the memory; cache lines of their own
constexpr size_t thunk_size = 32;

struct disassembler {
    csh handle = 0;
    disassembler() { cs_open(CS_ARCH_X86, CS_MODE_64, &handle); }
    ~disassembler() { cs_close(&handle); }
};

} // namespace

image::~image() {
    if (memory_)
        munmap(memory_, memory_size);
}

/// Every direct call and jump that leaves its function.
bool image::find_exits(const native_code &code, const native_code::function &f) {
    disassembler d;
    cs_insn *insn = cs_malloc(d.handle);
    const u8 *p = code.text.data() + f.offset;
    size_t left = f.size;
    uint64_t at = f.address;
    while (left && cs_disasm_iter(d.handle, &p, &left, &at, insn)) {
        u8 op = insn->bytes[0];
        if (insn->size != 5 || (op != 0xe8 && op != 0xe9))
            continue;
        u64 target = strtoull(insn->op_str, nullptr, 16);
        if (target >= f.address && target < f.address + f.size)
            continue;
        exit e{static_cast<u32>(p - code.text.data()) - 4, outside, op == 0xe8};
        for (const auto &other : code.functions)
            if (target >= other.address && target < other.address + other.size)
                e.inside = other.offset + static_cast<u32>(target - other.address);
        exits_.push_back(e);
    }
    cs_free(insn, 1);
    if (left)
        fprintf(stderr, "undecodable code at %zu of %u\n", f.size - left, f.size);
    return left == 0;
}

bool image::load(const native_code &code) {
    code_ = &code;
    for (const auto &f : code.functions)
        if (!find_exits(code, f))
            return false;
    void *p = mmap(nullptr, memory_size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED || code.text.size() + code_at + starts > memory_size)
        return perror("memory for an image"), false;
    memory_ = static_cast<u8 *>(p);
    memset(memory_, 0xcc, memory_size);
    memcpy(memory_ + thunk_at, __x86_return_thunk, thunk_size);
    memcpy(memory_ + trap_at, "\x0f\x0b", 2);
    return place(0), true;
}

void image::place(u32 offset) {
    u8 *text = memory_ + code_at + offset;
    memcpy(text, code_->text.data(), code_->text.size());
    for (const exit &e : exits_) {
        const u8 *target = e.inside != outside ? text + e.inside : memory_ + (e.call ? trap_at : thunk_at);
        s32 rel = static_cast<s32>(target - (text + e.at + 4));
        memcpy(text + e.at, &rel, 4);
    }
    entry_ = reinterpret_cast<u64 (*)(const void *)>(text + code_->functions[0].offset);
}

bool returns_by_thunk(const native_code &code) {
    disassembler d;
    const auto &f = code.functions[0];
    cs_insn *insns;
    size_t n = cs_disasm(d.handle, code.text.data() + f.offset, f.size, f.address, 0, &insns);
    bool plain = false;
    for (size_t i = 0; i < n; i++)
        plain |= insns[i].bytes[0] == 0xc3;
    cs_free(insns, n);
    return n && !plain;
}

std::string listing(const native_code &code) {
    disassembler d;
    std::string out;
    for (const auto &f : code.functions) {
        cs_insn *insns;
        size_t n = cs_disasm(d.handle, code.text.data() + f.offset, f.size, f.offset, 0, &insns);
        for (size_t i = 0; i < n; i++) {
            char at[24];
            snprintf(at, sizeof(at), "%6lx: ", insns[i].address);
            out += std::string(at) + insns[i].mnemonic + " " + insns[i].op_str + "\n";
        }
        cs_free(insns, n);
        out += "\n";
    }
    return out;
}

} // namespace modbpf::bench
