// SPDX-License-Identifier: GPL-2.0-only
// Events that programs are put on: those that `--attach PROGRAM=EVENT` names, and those of section names.
#pragma once

#include "loader/cli/cli.h"

namespace cli {

struct attach_spec;

/// A kind of event, as the word in front of the first colon names it.
struct event_kind {
    const char *name, *alias; ///< alias: another name, or null
    const char *form;         ///< what follows, for the help
    const char *example;
    enum bpf_prog_type type;
    enum bpf_attach_type expected; ///< of the program, or event_kind::no_expectation
    bool sleepable;                ///< NAME.s makes the program one that may sleep
    /// What follows the kind's name -> the problem, or empty.
    std::string (*parse)(std::string_view rest, attach_spec &out);
    /// One link, or several; false with errno, which a message of libbpf may explain.
    bool (*attach)(struct bpf_program *p, const attach_spec &spec, std::vector<struct bpf_link *> &links);
    const char *absent;  ///< what to do when there is no such event (ENOENT, ESRCH)
    const char *invalid; ///< what to do when it is refused (EINVAL), or null

    static constexpr enum bpf_attach_type no_expectation = static_cast<enum bpf_attach_type>(~0u);
};

struct attach_spec {
    std::string program; ///< of any of the files
    std::string event;   ///< as it was given
    const event_kind *kind = nullptr;
    bool sleepable = false;
    std::string place, name;       ///< function, category and event, file and function
    unsigned long long offset = 0; ///< behind the function
    __u32 event_type = 0;          ///< of perf_event_attr
    __u64 event_config = 0, period = 0;
    bool per_second = false; ///< the period is a frequency
};

/// "PROGRAM=EVENT" -> the problem with what to write instead, or empty.
std::string parse_attach(std::string_view text, attach_spec &out);
/// A line for each kind of event.
std::string attach_help();

/// "cycles", or "TYPE/CONFIG" in numbers of perf_event_attr.
std::string counter_name(__u32 type, __u64 config);

/// Before the object is loaded: gives the programs that the specs name their types and targets. False, with a message.
bool prepare_attach(struct bpf_object *object, const std::vector<attach_spec> &specs);
/// Puts each loaded program on the events that the specs name, or else on its section's; `attached` grows by the programs that are
/// on one. False, with a message, when one fails.
bool attach_programs(struct bpf_object *object, const std::vector<attach_spec> &specs, std::vector<struct bpf_link *> &links, size_t &attached);
/// False, with a message, when a spec names a program that no object has.
bool programs_exist(const std::vector<struct bpf_object *> &objects, const std::vector<attach_spec> &specs);

/// "cannot WHAT NAME: error; next", behind what libbpf said.
void explain_failure(const char *what, const char *name, int e, const char *next = "");

} // namespace cli
