// SPDX-License-Identifier: GPL-2.0-only
#include "attach/shadow.h"

#include "attach/link.h"
#include "btf/format.h"
#include "prog/prog.h"

namespace modbpf {

status shadow::make(const char *structure) {
    types_ = TRY(btf::vmlinux());
    type_ = types_->type(types_->find(structure, btf_kind::structure));
    if (!type_ || !type_->size_or_type)
        return error(ENOENT);
    bytes_ = static_cast<u8 *>(port_alloc(type_->size_or_type, PORT_SLEEPING));
    return bytes_ ? status() : status(error(ENOMEM));
}

/// Whole bytes at the member's offset, as many as it has and fit the structure.
void shadow::set(const char *member, const void *value, u32 size) {
    const btf_member *m = types_->member(type_, member, strlen(member));
    u32 at = 0, whole = 0;
    if (m && types_->bytes_of(type_, m, &at, &whole) && at + whole <= type_->size_or_type)
        memcpy(bytes_ + at, value, min(whole, size));
}

status shadows::make_prog() {
    TRY(prog.make("bpf_prog"));
    return prog_aux.make("bpf_prog_aux");
}

status shadows::make_link() {
    TRY(link.make("bpf_link"));
    return make_prog();
}

void *shadows::show(const modbpf::map &m) {
    const map_params &p = m.params;
    map.set("id", m.id);
    map.set("name", p.name);
    map.set("map_type", p.type);
    map.set("key_size", p.key_size);
    map.set("value_size", p.value_size);
    map.set("max_entries", p.max_entries);
    map.set("map_flags", p.flags);
    map.set("map_extra", p.extra);
    map.set("numa_node", p.numa_node);
    return map.get();
}

void *shadows::show(const program &p) {
    prog_aux.set("id", p.id);
    prog_aux.set("name", p.name);
    prog_aux.set("load_time", p.load_time_ns);
    prog_aux.set("attach_btf_id", p.attach_btf_id);
    prog_aux.set("prog", addr_of(prog.get()));
    prog.set("type", p.type->type);
    prog.set("expected_attach_type", p.expected_attach_type);
    prog.set("tag", p.tag.bytes);
    prog.set("aux", addr_of(prog_aux.get()));
    return prog.get();
}

void *shadows::show(bpf_link &l) {
    link.set("id", l.id);
    link.set("type", l.type);
    link.set("prog", addr_of(show(*l.current_prog())));
    return link.get();
}

}  // namespace modbpf
