// SPDX-License-Identifier: GPL-2.0-only
// The modbpf command: what its subcommands share. Hosted C++20 on libbpf; one thread.
//
// Exit status everywhere: 0 fine; 1 the answer is no (a program is refused, an attach failed); 2 the command line or the
// environment is wrong. Errors say what to do next.
#pragma once

#include <bpf/libbpf.h>
#include <string>
#include <string_view>
#include <vector>

namespace cli {

int verify_main(int argc, char **argv);
int diff_main(int argc, char **argv);
int run_main(int argc, char **argv);
int top_main(int argc, char **argv);
int exec_main(int argc, char **argv);
int features_main(int argc, char **argv);

/// "modbpf: TEXT" on standard error.
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/// "Invalid argument (EINVAL)"; knows the kernel's own 524 too.
std::string error_text(int errnum);
/// "EINVAL", or the number.
std::string error_name(int errnum);

/// SIGINT and SIGTERM end what a command waits for.
void stop_on_signals();
bool stopped();
/// Seconds of a clock that never goes back.
double now();
/// A positive number of seconds; false, with a message that names the option.
bool parse_seconds(const char *option, const char *text, double &out);
/// A positive whole number; the same.
bool parse_count(const char *option, const char *text, size_t &out);

/// libbpf's messages: kept for the error report, or shown at once (verbose >= 1 info, >= 2 debug).
namespace messages {
void start(int verbose);
/// What libbpf said since the last take().
std::string take();
} // namespace messages

/// False, with a message, for an unknown name.
bool use_backend(const char *name);
/// Without the option and without MODBPF_BACKEND: `name`.
void default_backend(const char *name);
/// The back end in use: "device", "process" or "kernel".
std::string backend_name();
/// False when the back end is the device and it cannot be opened: why, and what to do, is then on standard error.
bool backend_ready();
/// The back end's feature list as JSON; empty where it has none.
std::string feature_list();
/// The JSON's array `list` holds `name`.
bool lists(std::string_view features, std::string_view list, std::string_view name);

/// Why libbpf must not be given this file, or empty.
std::string object_problem(const char *path);

/// A JSON string literal with its quotes; bytes that are not UTF-8 become U+FFFD.
std::string json_string(std::string_view s);

/// A value of a BTF type as text on one line. `size` bytes are there; what lies outside is never read.
std::string format_value(const struct btf *btf, __u32 type_id, const void *data, size_t size, bool top = false);
/// The same as JSON. Without a type (0): a number of 4 or 8 bytes, or a string of hex bytes.
std::string json_value(const struct btf *btf, __u32 type_id, const void *data, size_t size);
/// Hex bytes, then the printable text.
std::string format_bytes(const void *data, size_t size);
/// The id behind typedefs and qualifiers, or 0.
__u32 skip_modifiers(const struct btf *btf, __u32 id);

/// The lines of a histogram, from the first slot that is not empty to the last: slot i counts values of 2^i to 2^(i+1)-1, slot 0 also 0.
/// With a step: slot i counts values of i*step to (i+1)*step-1.
std::string format_histogram(const std::vector<__u64> &slots, std::string_view unit, __u64 step = 0);

/// The structure that a record of `size` bytes of this map has, by name and size, or 0. `padded`: the size may be up to 7
/// bytes too long (perf).
__u32 record_type(const struct btf *btf, const char *map_name, size_t size, bool padded);

} // namespace cli
