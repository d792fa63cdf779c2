// SPDX-License-Identifier: GPL-2.0-only
// modbpf: the command's entry.
#include "loader/cli/cli.h"

#include <cstdio>
#include <cstring>

namespace cli {

namespace {

struct subcommand {
    const char *name, *summary;
    int (*main)(int, char **);
};
const subcommand subcommands[] = {
    {"run", "load the programs of an object file, attach them, print what they report", run_main},
    {"top", "show what is loaded by the time that it takes", top_main},
    {"verify", "say for each program of object files whether the verifier accepts it", verify_main},
    {"diff", "compare the machine's own bpf() and modbpf, program by program", diff_main},
    {"exec", "run a command whose bpf() calls are answered by modbpf", exec_main},
    {"features", "list what this build of modbpf and this kernel support", features_main},
};

void usage(FILE *to) {
    fputs("Usage: modbpf COMMAND [OPTIONS] ...\n\nCommands:\n", to);
    for (const subcommand &c : subcommands)
        fprintf(to, "  %-10s %s\n", c.name, c.summary);
    fputs("\n`modbpf COMMAND --help` explains each. A tool of others on modbpf: modbpf exec -- bpftool prog list\n", to);
}

} // namespace

} // namespace cli

int main(int argc, char **argv) {
    if (argc < 2) {
        cli::usage(stderr);
        return 2;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        cli::usage(stdout);
        return 0;
    }
    for (const cli::subcommand &c : cli::subcommands)
        if (!strcmp(argv[1], c.name))
            return c.main(argc - 1, argv + 1);
    cli::complain("there is no command '%s'; `modbpf --help` lists them", argv[1]);
    return 2;
}
