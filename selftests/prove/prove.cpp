// SPDX-License-Identifier: GPL-2.0-only
// Proves the verifier's arithmetic: the functions that ship, run on z3 terms. usage: prove [--json] [--filter=TEXT] [--limit=SECONDS]
// Exit status 0: every claim is proved and every control is refuted.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "claims.h"

namespace modbpf::prove {

namespace {

/// False claims, which z3 must refute: a prover that accepts anything shows here.
std::vector<claim> controls() {
    return {
        {"control: a sum has x + y + 1", 64,
         [](explorer &e) {
             z3::expr x = fresh("x", 64), y = fresh("y", 64);
             auto a = any_bits<64>(e, "a", x), b = any_bits<64>(e, "b", y);
             e.require(in<64>(x + y + 1, tnum_add(a, b)), "x + y + 1");
         },
         true},
        {"control: no tnum is a constant", 64,
         [](explorer &e) {
             z3::expr x = fresh("x", 64);
             auto a = any_bits<64>(e, "a", x);
             if (a.is_const())
                 e.unreachable("a constant");
         },
         true},
    };
}

struct options {
    bool json = false;
    const char *filter = "";
    unsigned limit_s = 900;
};

bool option(const char *arg, options &o) {
    if (!strcmp(arg, "--json"))
        o.json = true;
    else if (!strncmp(arg, "--filter=", 9))
        o.filter = arg + 9;
    else if (!strncmp(arg, "--limit=", 8))
        o.limit_s = static_cast<unsigned>(atoi(arg + 8));
    else
        return false;
    return true;
}

const char *word_for(const claim &c, verdict v) {
    if (v == verdict::unfinished)
        return "unfinished";
    if (c.is_false)
        return v == verdict::violated ? "refuted" : "NOT REFUTED";
    return v == verdict::proved ? "proved" : "VIOLATED";
}

std::string quoted(const std::string &s) {
    std::string out = "\"";
    for (char c : s) {
        if (c == '"' || c == '\\')
            out += '\\';
        out += c;
    }
    return out + '"';
}

int main_(int argc, char **argv) {
    options o;
    for (int i = 1; i < argc; i++)
        if (!option(argv[i], o)) {
            fprintf(stderr, "usage: prove [--json] [--filter=TEXT] [--limit=SECONDS]\n");
            return 2;
        }
    std::vector<claim> all;
    for (auto f : {tnum_claims, scalar_claims, branch_claims, controls})
        for (auto &c : f())
            if (c.name.find(o.filter) != std::string::npos)
                all.push_back(std::move(c));
    u32 proved = 0, violated = 0, unfinished = 0;
    double total = 0;
    if (o.json)
        printf("{\"claims\": [");
    for (size_t i = 0; i < all.size(); i++) {
        const claim &c = all[i];
        auto start = std::chrono::steady_clock::now();
        explorer x = explorer::run(c.body, o.limit_s * 1000);
        double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        total += s;
        bool good = x.outcome() == (c.is_false ? verdict::violated : verdict::proved);
        good ? proved++ : x.outcome() == verdict::unfinished ? unfinished++ : violated++;
        const char *text = word_for(c, x.outcome());
        if (o.json)
            printf("%s\n  {\"name\": %s, \"bits\": %u, \"verdict\": \"%s\", \"ways\": %u, \"seconds\": %.2f%s%s}", i ? "," : "", quoted(c.name).c_str(), c.width,
                   text, x.ways(), s, good ? "" : ", \"text\": ", good ? "" : quoted(x.text()).c_str());
        else
            printf("%-44s %2u bits  %-11s %5u ways  %7.2f s%s%s\n", c.name.c_str(), c.width, text, x.ways(), s, good ? "" : "\n    ", good ? "" : x.text().c_str());
        fflush(stdout);
    }
    if (o.json)
        printf("\n], \"proved\": %u, \"violations\": %u, \"unfinished\": %u, \"seconds\": %.1f}\n", proved, violated, unfinished, total);
    else
        printf("%u as expected, %u violations, %u unfinished, %.1f s\n", proved, violated, unfinished, total);
    return violated || unfinished || all.empty() ? 1 : 0;
}

}  // namespace

}  // namespace modbpf::prove

int main(int argc, char **argv) { return modbpf::prove::main_(argc, argv); }
