// SPDX-License-Identifier: GPL-2.0-only
// References that a path holds: acquired by calls, ended by others, all of them before the program's end.
#include "verifier/env.h"

namespace modbpf {

result<u32> acquire_ref(env &e) {
    u32 id = ++e.id_gen;
    TRY(hold_ref(e, id));
    return id;
}

void distrust_held(env &e, u32 ref) {
    e.cur->for_each_reg([&](const reg_state &r) { return r.base() == reg_type::btf_ptr && r.holder_ref == ref; },
                        [](reg_state &r) { r.type = without(r.type, type_flag::trusted) | type_flag::untrusted, r.holder_ref = 0; });
}

status release_ref(env &e, u32 id) {
    auto &refs = e.cur->refs;
    for (u32 i = 0; i < refs.size(); i++) {
        if (refs[i].id != id)
            continue;
        if (refs[i].callback_frame != callback_frame(*e.cur))
            break; // a callback may run any number of times: it leaves alone what it did not acquire
        e.cur->drop_ref(i);
        distrust_held(e, id);
        e.cur->for_each_reg([&](const reg_state &r) { return r.ref_id == id; }, [&](reg_state &r) { forget_pointer(e, r); });
        return {};
    }
    return error(EINVAL);
}

}  // namespace modbpf
