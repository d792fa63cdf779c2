// SPDX-License-Identifier: GPL-2.0-only
// Tests of the explanations' parts: message shapes, states, values in words, what is underlined.
#include "loader/cli/explain.h"
#include "loader/cli/stats.h"

#include <cstring>
#include <gtest/gtest.h>

namespace {

using namespace cli;
using list = std::vector<std::string>;

TEST(rules, places) {
    list places;
    finding f;
    EXPECT_TRUE(matches("R{reg} invalid mem access '{s}'", "R7 invalid mem access 'scalar'", &places, &f));
    EXPECT_EQ(places, (list{"7", "scalar"}));
    EXPECT_EQ(f.reg, 7);
    EXPECT_FALSE(matches("R{reg} is invalid", "R7 is invalid.", nullptr, nullptr));
    EXPECT_FALSE(matches("R{reg} is invalid", "Rx is invalid", nullptr, nullptr));
    EXPECT_FALSE(matches("off={n} x", "off=", nullptr, nullptr));
    EXPECT_TRUE(matches("off={n}", "off=-0x10", nullptr, nullptr));
    finding named;
    EXPECT_TRUE(matches("arg#{arg0} is {s}", "arg#1 is bad", nullptr, &named));
    EXPECT_EQ(named.reg, 2); // arguments count from 0, and the first is R1
    EXPECT_TRUE(matches("at insn {insn}", "at insn 12", nullptr, &named));
    EXPECT_EQ(named.insn, 12);
}

/// Each row is the first that its own shape matches, so that none hides another.
TEST(rules, each_row_is_reached) {
    for (unsigned int i = 0; i < rule_count; i++) {
        std::string message;
        for (const char *p = rules[i].shape; *p; p++) {
            if (*p != '{') {
                message += *p;
                continue;
            }
            message += p[1] == 's' ? "some text" : "3";
            p = strchr(p, '}');
        }
        finding f = find_rule({message});
        ASSERT_NE(f.row, nullptr) << message;
        EXPECT_EQ(f.row, &rules[i]) << "'" << message << "' is taken by '" << f.row->shape << "'";
        EXPECT_EQ((f.title + f.required + f.advice).find('$'), std::string::npos) << message;
        EXPECT_FALSE(f.title.empty());
    }
}

TEST(rules, messages_of_a_log) {
    std::string log = "func#0 @0\n0: R1=ctx() R10=fp0\n; return *v; @ a.c:3\n7: (79) r0 = *(u64 *)(r0 +0)\n"
                      "R0 invalid mem access 'map_value_or_null'\nverification time 12 usec\nstack depth 8\nprocessed 7 insns (limit 1000000)\n";
    EXPECT_EQ(final_messages(log), (list{"R0 invalid mem access 'map_value_or_null'"}));
    EXPECT_EQ(final_messages(""), list{});
    // The first message with a row explains; the others may name the register.
    finding f = find_rule({"invalid access to map value, value_size=8 off=8 size=4", "R2 max value is outside of the allowed memory range"});
    EXPECT_EQ(f.title, "4 bytes at offset 8 lie outside the map's value of 8 bytes");
    EXPECT_EQ(f.reg, 2);
    EXPECT_EQ(find_rule({"no such message"}).message, "no such message");
    EXPECT_EQ(find_rule({}).row, nullptr);
    EXPECT_EQ(find_rule({"invalid access to map value, value_size=1 off=1 size=1"}).title, "1 byte at offset 1 lie outside the map's value of 1 byte");
}

TEST(state, cells) {
    frame_state s = parse_state(" frame1: R0_w=scalar(id=1,smax=5,var_off=(0x0; 0xff)) R1=ctx() R10=fp0 fp-8_w=mmmm???? fp-16=map_value(map=a,ks=4,vs=8) refs=1,2\n");
    frame_state want = {{"R0", "scalar(id=1,smax=5,var_off=(0x0; 0xff))"}, {"R1", "ctx()"}, {"R10", "fp0"}, {"fp-8", "mmmm????"},
                        {"fp-16", "map_value(map=a,ks=4,vs=8)"}, {"refs", "1,2"}};
    EXPECT_EQ(s, want);
    EXPECT_TRUE(parse_state("").empty());
    EXPECT_EQ(cell_value({s}, 0, "R1"), "ctx()");
    EXPECT_EQ(cell_value({s}, 1, "R1"), "");
}

TEST(values, in_words) {
    EXPECT_EQ(describe_value("R1", "5"), "the number 5");
    EXPECT_EQ(describe_value("R1", ""), "no value: never written on this way, or lost in a call");
    EXPECT_EQ(describe_value("R1", "scalar()"), "any number");
    EXPECT_EQ(describe_value("R1", "scalar(smin=smin32=0,smax=umax=smax32=umax32=64,var_off=(0x0; 0x78))"), "a number from 0 to 64");
    EXPECT_EQ(describe_value("R1", "scalar(smin=0xffffffff80000000,smax=0x7fffffff)"), "a number from -2147483648 to 0x7fffffff");
    EXPECT_EQ(describe_value("R1", "scalar(smax=9)"), "a signed number up to 9, or negative");
    EXPECT_EQ(describe_value("R1", "map_value_or_null(id=1,map=counts,ks=4,vs=8)"), "a pointer to a map's value counts (8 bytes), or NULL");
    EXPECT_EQ(describe_value("R1", "pkt(off=14,r=14)"), "a pointer into the packet, 14 bytes behind its start; 14 bytes from the start on are known to be there");
    EXPECT_EQ(describe_value("R1", "mem(off=-4,sz=16)"), "a pointer to memory of 16 bytes, 4 bytes in front of its start");
    EXPECT_EQ(describe_value("R1", "fp-24"), "a pointer to the stack, at fp-24");
    EXPECT_EQ(describe_value("R1", "trusted_ptr_task_struct()"), "a pointer to kernel structure task_struct");
    EXPECT_EQ(describe_value("R1", "something_new(x=1)"), "a pointer of kind something_new");
    EXPECT_EQ(describe_value("fp-8", "mmmm????"), "data; never written: bytes -8 to -5");
    EXPECT_EQ(describe_value("fp-16", "?mmm0000"), "data; never written: bytes -9");
    EXPECT_EQ(describe_value("fp-8", "00000000"), "zeros");
    EXPECT_EQ(describe_value("fp-8", ""), "never written");
    EXPECT_EQ(describe_value("fp-8", "ctx()"), "the context");
}

std::string underlined(const std::string &source, unsigned int column, const std::string &callee = "", int argument = -1) {
    place p;
    p.source = source;
    p.column = column;
    underline(p, callee, argument);
    return p.source.substr(p.begin, p.length);
}

TEST(underlining, operands) {
    EXPECT_EQ(underlined("  x = *v + 1;", 7), "*v");
    EXPECT_EQ(underlined("  x = a->b[i].c + 1;", 7), "a->b[i].c");
    EXPECT_EQ(underlined("  c->slot[2] = 1;", 14), "c->slot[2]");
    EXPECT_EQ(underlined("  c->slot[i] += 1;", 14), "c->slot[i]");
    EXPECT_EQ(underlined("  c->slot[i]++;", 13), "c->slot[i]");
    EXPECT_EQ(underlined("  return *(int *)ctx->args[0];", 3), "*(int *)ctx->args[0]");
    EXPECT_EQ(underlined("  while (again)", 3), "(again)");
    EXPECT_EQ(underlined("  if (a == b)", 9), "=");
    EXPECT_EQ(underlined("  returned = 1;", 3), "returned");
    EXPECT_EQ(underlined("}", 1), "}");
    EXPECT_EQ(underlined("}", 9), "");
    EXPECT_EQ(underlined("", 0), "");
    EXPECT_EQ(underlined("  return;", 3), "return");
    EXPECT_EQ(underlined("  f((", 3), "f((");
    EXPECT_EQ(underlined("= 1", 1), "=");
}

TEST(underlining, arguments) {
    std::string s = "  v = bpf_read(buf, f(a, b), &x[0]);";
    EXPECT_EQ(underlined(s, 7, "bpf_read", 0), "buf");
    EXPECT_EQ(underlined(s, 7, "bpf_read", 1), "f(a, b)");
    EXPECT_EQ(underlined(s, 7, "bpf_read", 2), "&x[0]");
    EXPECT_EQ(underlined(s, 7, "bpf_read", 3), "bpf_read(buf, f(a, b), &x[0])");
    EXPECT_EQ(underlined(s, 7, "bpf_other", 0), "bpf_read(buf, f(a, b), &x[0])");
    EXPECT_EQ(underlined(s, 3, "bpf_read", -1), "bpf_read(buf, f(a, b), &x[0])");
}

TEST(stats, rows) {
    cost_row r = {"a/b.o", "prog", "xdp", "EACCES", 12, -1, 3, 400}, out;
    ASSERT_TRUE(unpack_row(pack_row(r), out));
    EXPECT_EQ(pack_row(out), pack_row(r));
    EXPECT_EQ(pack_row(r), "a/b.o\tprog\txdp\tEACCES\t12\t-1\t3\t400");
    EXPECT_FALSE(unpack_row("", out));
    EXPECT_FALSE(unpack_row(pack_row(r) + "\t1", out));
}

} // namespace
