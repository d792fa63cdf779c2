// SPDX-License-Identifier: GPL-2.0-only
// SHA-1 against the vectors of FIPS 180 and RFC 3174, whole and in pieces.
#include "base/sha1.h"

#include <gtest/gtest.h>
#include <string>

namespace modbpf {
namespace {

std::string digest(const std::string &text, size_t piece) {
    sha1 h;
    for (size_t i = 0; i < text.size(); i += piece)
        h.update(text.data() + i, std::min(piece, text.size() - i));
    u8 out[sha1::digest_size];
    h.finish(out);
    std::string hex;
    for (u8 b : out) {
        char two[3];
        snprintf(two, sizeof(two), "%02x", b);
        hex += two;
    }
    return hex;
}

TEST(sha1, vectors) {
    EXPECT_EQ(digest("", 1), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    EXPECT_EQ(digest("abc", 64), "a9993e364706816aba3e25717850c26c9cd0d89d");
    EXPECT_EQ(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 64),
              "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    EXPECT_EQ(digest(std::string(1000000, 'a'), 4096), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST(sha1, pieces_do_not_matter) {
    std::string text;
    for (int i = 0; i < 300; i++)
        text += static_cast<char>(i * 7);
    for (size_t n = 0; n <= text.size(); n += 13)
        for (size_t piece : {1, 3, 55, 56, 63, 64, 65, 128})
            ASSERT_EQ(digest(text.substr(0, n), piece), digest(text.substr(0, n), 1000));
    EXPECT_NE(digest(text, 64), digest(text + "x", 64));
}

}  // namespace
}  // namespace modbpf
