// SPDX-License-Identifier: GPL-2.0-only
// The texts that iterators' programs write to. A program gives a helper the address of a struct seq_file, which may be one that it found
// by following the kernel's pointers: only a text that this task has open is written to.
#pragma once

#include "base/list.h"
#include "base/result.h"
#include "base/types.h"
#include "port/port.h"

namespace modbpf {

/// Makes `seq` one that programs of the current task may write to, for its lifetime. Task context; the task stays in this scope.
class seq_scope {
public:
    explicit seq_scope(port_seq *seq);
    ~seq_scope();
    seq_scope(const seq_scope &) = delete;

private:
    friend struct open_seqs;
    port_seq *seq_;
    u64 task_;
    list_link link_;
};

/// The text at that address, or null: this task has none open there. From a program of an iterator, which runs in task context.
port_seq *open_seq(u64 seq);

status seqs_init(); ///< part of helpers_init
void seqs_exit();

}  // namespace modbpf
