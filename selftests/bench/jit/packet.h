// SPDX-License-Identifier: GPL-2.0-only
// The packet that the bodies work on: the same in every run.
#pragma once

#include "base/types.h"

#include <cstring>
#include <vector>

namespace modbpf::bench {

/// 1500 bytes: Ethernet, one VLAN tag, IPv4, TCP with options; noise; three paths.
inline std::vector<u8> make_packet() {
    constexpr u8 headers[] = {
        0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x81, 0, 0, 42, 0x08, 0, // Ethernet, VLAN 42, IPv4
        0x45, 0, 0x05, 0xca, 0x12, 0x34, 0x40, 0, 64, 6, 0xab, 0xcd, 10, 0, 0, 1, 192, 168, 1, 2,
        0x1f, 0x90, 0xc3, 0x50, 1, 2, 3, 4, 5, 6, 7, 8, 0xa0, 0x18, 0xff, 0xff, 0, 0, 0, 0, // TCP, 40 bytes
        2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 3, 7, // MSS, SACK, timestamps, padding, window scale
    };
    std::vector<u8> packet(1500);
    u64 x = 0x123456789abcdef;
    for (u8 &byte : packet) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        byte = static_cast<u8>(x >> 24);
    }
    memcpy(packet.data(), headers, sizeof(headers));
    memcpy(packet.data() + 1300, "/usr/lib/x86_64/libc.so.6", 16);
    memcpy(packet.data() + 1316, "/etc/passwd\0\0\0\0", 16);
    memcpy(packet.data() + 1332, "/proc/self/maps", 16);
    return packet;
}

} // namespace modbpf::bench
