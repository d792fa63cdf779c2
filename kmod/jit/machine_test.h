// SPDX-License-Identifier: GPL-2.0-only
// For tests of the JIT: the machines that images are made for, with thunks that run. A kernel with mitigations asks for
// endbr64, return thunks, indirect thunks by register and int3 behind them, and has its functions within rel32 reach; here
// all that lies in text of our own. Not part of the module.
#pragma once

#include "jit/jit.h"
#include "port/port.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace modbpf::testing {

struct machine {
    const char *name;
    jit_machine env;
};

/// One page of text for the life of the process. A page of its own each: sealing is by page.
inline u64 make_text(const std::string &bytes) {
    void *text = port_text_alloc(bytes.size());
    if (!text)
        return 0;
    memcpy(text, bytes.data(), bytes.size());
    return port_text_seal(text, bytes.size()) ? 0 : addr_of(text);
}

/// A retpoline: the jump is the return of a call whose return address was replaced. The flags come back changed, as from
/// any call: nothing may depend on them.
inline std::string retpoline(u32 reg) {
    std::string code("\x48\x39\xe4", 3);           // cmp rsp, rsp
    code += std::string("\xe8\x04\x00\x00\x00", 5);  // call over the trap
    code += std::string("\x0f\x0b\xcc\xcc", 4);      // what speculation runs into
    code += static_cast<char>(reg >= 8 ? 0x4c : 0x48);
    code += static_cast<char>(0x89);
    code += static_cast<char>((reg & 7) << 3 | 4);
    code += '\x24';  // mov [rsp], reg
    code += '\xc3';
    return code;
}

inline std::vector<machine> make_machines() {
    std::vector<machine> all = {{"plain", {}}, {"mitigated", {}}, {"mitigated, rel32", {}}};
    constexpr u32 stride = 32;
    std::string thunks;
    for (u32 reg = 0; reg < 16; reg++) {
        thunks += retpoline(reg);
        thunks.resize((reg + 1) * stride, '\xcc');
    }
    thunks += std::string("\x48\x39\xe4\xc3", 4);  // the return thunk: cmp rsp, rsp; ret
    u64 at = make_text(thunks);
    jit_machine here;
    port_jit_env(&here);
    for (machine &m : all) {
        m.env.per_cpu = here.per_cpu;
        m.env.bmi2 = here.bmi2 && &m != &all[1]; // shifts as processors without it have them
    }
    for (size_t i = 1; i < all.size(); i++) {
        jit_machine &env = all[i].env;
        env.endbr = env.sls = true;
        for (u32 reg = 0; reg < 16; reg++)
            env.indirect_thunk[reg] = reg == 4 ? 0 : at + reg * stride;
        env.return_thunk = at + 16 * stride;
        env.rel32 = i == 2;
    }
    return all;
}
inline const std::vector<machine> &machines() {
    static const std::vector<machine> all = make_machines();
    return all;
}

/// A jump to `fn` that lies within rel32 reach of every image: mov r11, fn; jmp r11.
inline u64 stub_of(u64 fn) {
    static std::map<u64, u64> stubs;
    u64 &stub = stubs[fn];
    if (!stub) {
        std::string code("\x49\xbb", 2);
        code.append(reinterpret_cast<const char *>(&fn), 8);
        stub = make_text(code + std::string("\x41\xff\xe3", 3));
    }
    return stub;
}
template <class F> F nearby_function(F fn) {
    return reinterpret_cast<F>(stub_of(reinterpret_cast<u64>(fn)));
}

inline const helper_proto *(*far_helper)(u32 id);
inline const helper_proto *near_helper(u32 id) {
    static std::map<u32, helper_proto> copies;
    const helper_proto *p = far_helper(id);
    if (!p)
        return nullptr;
    helper_proto &copy = copies[id];
    memcpy(&copy, p, sizeof(copy));
    copy.fn = nearby_function(p->fn);
    return &copy;
}
/// The options with every function that an image calls replaced by a stub within reach.
inline jit_options nearby(jit_options o) {
    far_helper = o.helper ? o.helper : static_cast<const helper_proto *(*)(u32)>(find_helper);
    o.helper = near_helper;
    o.slot = nearby_function(o.slot ? o.slot : tail_call_target);
    o.near = stub_of;
    o.packet = nearby_function(o.packet ? o.packet : load_packet_bytes);
    return o;
}

}  // namespace modbpf::testing
