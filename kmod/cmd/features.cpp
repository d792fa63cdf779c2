// SPDX-License-Identifier: GPL-2.0-only
// What this build and this kernel support, as JSON, from the tables that the core itself reads.
#include "cmd/attr.h"
#include "cmd/core.h"
#include "helpers/helper.h"

namespace modbpf {

namespace {

/// Text that goes to user memory piece by piece; counts on when the room is used up.
class user_text {
public:
    user_text(u64 to, u32 room) : to_(to), room_(room) {}

    void add(const char *text) {
        u64 n = strlen(text);
        if (len_ < room_) {
            u64 fits = min<u64>(n, room_ - len_);
            fault_ |= port_copy_to_user(to_ + len_, text, fits) != 0;
        }
        len_ += n;
    }
    void string(const char *s) {
        add("\"");
        add(s);
        add("\"");
    }
    void key(const char *name, const char *open) {
        string(name);
        add(": ");
        add(open);
        first_ = true;
    }
    void item(const char *s) {
        if (!first_)
            add(", ");
        first_ = false;
        string(s);
    }
    void end_nul() {
        if (len_ < room_) {
            char zero = 0;
            fault_ |= port_copy_to_user(to_ + len_, &zero, 1) != 0;
        }
        len_++;
    }
    long result() const { return fault_ ? -EFAULT : static_cast<long>(len_); }

private:
    u64 to_;
    u64 room_;
    u64 len_ = 0;
    bool first_ = true;
    bool fault_ = false;
};

void write(user_text &t) {
    t.add("{");
    t.key("commands", "[");
    for (const command &c : all_commands())
        t.item(c.name);
    t.add("], ");
    t.key("map_types", "[");
    for (const map_ops *m : all_map_ops())
        t.item(m->name);
    t.add("], ");
    t.key("verify_only_map_types", "[");
    for (const map_ops &m : verify_only_map_ops())
        t.item(m.name);
    t.add("], ");
    t.key("program_types", "[");
    for (const prog_type_info *p : all_prog_types())
        if (!p->verify_only)
            t.item(p->name);
    t.add("], ");
    t.key("verify_only_program_types", "[");
    for (const prog_type_info *p : all_prog_types())
        if (p->verify_only)
            t.item(p->name);
    t.add("], ");
    t.key("test_run", "[");
    for (const prog_type_info *p : all_prog_types())
        if (p->test_run)
            t.item(p->name);
    t.add("], ");
    t.key("attach", "[");
    t.item("kprobe");
    t.item("kretprobe");
    t.item("kprobe_multi");
    t.item("kprobe_session");
    t.item("uprobe");
    t.item("uretprobe");
    t.item("uprobe_multi");
    t.item("tracepoint");
    t.item("raw_tracepoint");
    t.item("fentry");
    t.item("fexit");
    t.item("fmod_ret");
    t.item("freplace");
    t.item("lsm");
    t.item("perf_event");
    t.add("], ");
    t.key("helpers", "[");
    for (u32 id = 0; id < func_id_count; id++)
        if (find_helper(id))
            t.item(helper_name(id));
    t.add("], ");
    t.key("missing_symbols", "[");
    for (u32 i = 0; const char *name = port_missing_symbol(i); i++)
        t.item(name);
    t.add("]}\n");
    t.end_nul();
}

}  // namespace

}  // namespace modbpf

long modbpf_core_features(u64 ubuf, u32 size) {
    modbpf::user_text t(ubuf, size);
    modbpf::write(t);
    return t.result();
}
