// SPDX-License-Identifier: GPL-2.0-only
// One program of an object file through the back end in use: loaded alone, so that one refusal does not hide the others.
#pragma once

#include "loader/cli/cli.h"
#include "loader/cli/record.h"

#include <functional>
#include <memory>

namespace cli {

struct object_deleter {
    void operator()(struct bpf_object *o) const { bpf_object__close(o); }
};
using object_ptr = std::unique_ptr<struct bpf_object, object_deleter>;
/// Null with errno where libbpf cannot open it.
object_ptr open_object(const char *path);
/// The same; `why` says what is wrong with the file.
object_ptr open_checked(const char *path, std::string &why);

enum class outcome { accepted, refused, not_loaded };
/// "accepted", "refused", "not loaded".
const char *word(outcome o);

struct verdict {
    std::string program, section;
    outcome result = outcome::not_loaded;
    int error = 0;
    std::string log;   ///< the verifier's
    std::string notes; ///< libbpf's messages
    long insns = -1, states = -1, peak_states = -1, verify_usec = -1;
    long usec = 0; ///< of the whole load, maps too
};

/// What is done with a program that was loaded, while its object is open.
using loaded_hook = void (*)(void *priv, struct bpf_program *p);

/// Loads a program of a fresh object at a log level; fills `v`, in which program and section say which one.
void load_once(const char *path, verdict &v, unsigned int level, loaded_hook hook = nullptr, void *priv = nullptr);
/// The same at `level`; a refused program once more with its log, where the level did not ask for one.
verdict judge(const char *path, const std::string &program, const std::string &section, unsigned int level);

/// Steps, and the states in front of those visits that `choose` wants, of a program that was judged.
void record(const char *path, const verdict &v, recording &r, std::vector<int> (*choose)(const recording &));

/// Runs `work` in a child process; `answer` is what it returned. False: it crashed, and *status is wait's.
/// An object file can be anything, and a crash while parsing one must not take the rest along.
bool in_child(const std::function<std::string()> &work, std::string &answer, int *status);

} // namespace cli
