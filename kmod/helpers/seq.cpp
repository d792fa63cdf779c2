// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/seq.h"

#include "base/lock.h"
#include "base/memory.h"
#include "helpers/families.h"
#include "helpers/helper.h"

namespace modbpf {

/// The texts that tasks have open. The lock is for the list; who takes it runs in task context, programs of iterators included, so that
/// with interrupts off nobody else of this CPU can want it.
struct open_seqs {
    spinlock lock{"open_seqs"};
    list<seq_scope, &seq_scope::link_> scopes;

    port_seq *find(u64 seq) {
        u64 task = port_current();
        spin_guard g(lock);
        for (seq_scope *s = scopes.front(); s; s = scopes.next(s))
            if (addr_of(s->seq_) == seq && s->task_ == task)
                return s->seq_;
        return nullptr;
    }
    void add(seq_scope *s) {
        spin_guard g(lock);
        scopes.push_front(s);
    }
    void remove(seq_scope *s) {
        spin_guard g(lock);
        scopes.remove(s);
    }
};

namespace {
constinit open_seqs *opened = nullptr;
}  // namespace

status seqs_init() {
    opened = make<open_seqs>(PORT_SLEEPING);
    return opened ? status() : error(ENOMEM);
}

void seqs_exit() {
    destroy(opened);
    opened = nullptr;
}

seq_scope::seq_scope(port_seq *seq) : seq_(seq), task_(port_current()) { opened->add(this); }
seq_scope::~seq_scope() { opened->remove(this); }

port_seq *open_seq(u64 seq) { return opened->find(seq); }

u64 bpf_seq_write(u64 r1, u64 r2, u64 r3, u64, u64) {
    port_seq *seq = open_seq(r1);
    if (!seq)
        return helper_errno(-EINVAL);
    u32 len = static_cast<u32>(r3);
    char *at;
    size_t room = port_seq_room(seq, &at);
    bool fits = len < room;
    if (fits)
        memcpy(at, ptr_of<const void>(r2), len);
    port_seq_commit(seq, fits ? len : room);
    return helper_errno(fits ? 0 : -EOVERFLOW);
}

}  // namespace modbpf
