// SPDX-License-Identifier: GPL-2.0-only
#include "verifier/state.h"

namespace modbpf {

// ---- stacks -----------------------------------------------------------------------------------------------------------

inline stack_page *frame_stack::get_page() { return pool ? pool->get_page() : make<stack_page>(PORT_SLEEPING); }

inline void frame_stack::put_page(stack_page *p) {
    if (pool)
        pool->drop(p);
    else
        destroy(p); // not shared
}

void frame_stack::clear() {
    for (u32 i = 0; i < pages(); i++)
        put_page(page_[i]);
    size_ = 0;
}

status frame_stack::grow(u32 slots) {
    while (size_ < slots) {
        if (size_ % page_slots == 0) {
            stack_page *p = get_page();
            if (!p)
                return error(ENOMEM);
            p->refs = 1, p->ids = page_ids::unknown;
            for (auto &s : p->slot) {
                s.spilled.set_not_init();
                for (auto &k : s.kind)
                    k = slot_kind::invalid;
            }
            page_[size_ / page_slots] = p;
        }
        size_ = min(slots, size_ - size_ % page_slots + page_slots);
    }
    return {};
}

void frame_stack::unshare(stack_page *&p) {
    stack_page *own = pool->get_page_or_spare();
    memcpy(static_cast<void *>(own->slot), p->slot, sizeof(p->slot));
    own->refs = 1, own->ids = page_ids::unknown;
    p->refs--;
    p = own;
}

status frame_stack::copy_from(const frame_stack &o) {
    bool shared = pool && pool == o.pool;
    clear();
    for (u32 i = 0; i < o.pages(); i++) {
        stack_page *p = shared ? o.page_[i] : get_page();
        if (!p)
            return error(ENOMEM);
        if (shared) {
            p->refs++;
        } else {
            p->refs = 1, p->ids = page_ids::unknown;
            memcpy(static_cast<void *>(p->slot), o.page_[i]->slot, sizeof(p->slot));
        }
        page_[i] = p;
        size_ = min(o.size_, (i + 1) * page_slots);
    }
    return {};
}

status func_state::copy_from(const func_state &o) {
    callsite = o.callsite, subprog = o.subprog, frameno = o.frameno, entry = o.entry;
    callback = o.callback, callback_turns = o.callback_turns;
    written_regs = o.written_regs, written_slots = o.written_slots;
    memcpy(static_cast<void *>(regs), o.regs, sizeof(regs));
    return stack.copy_from(o.stack);
}

// ---- pool -------------------------------------------------------------------------------------------------------------

state_pool::~state_pool() {
    while (func_state *f = kept_) {
        kept_ = f->next_kept;
        destroy_scratch(f);
    }
    while (verifier_state *st = kept_states_) {
        kept_states_ = st->next_kept;
        destroy_scratch(st);
    }
    while (slab *s = slabs_) {
        slabs_ = s->next;
        port_scratch_free(s, sizeof(slab));
    }
}

func_state *state_pool::get_frame() {
    func_state *f = kept_;
    if (!f) {
        f = make_scratch<func_state>();
        if (f)
            f->stack.pool = this;
        return f;
    }
    kept_ = f->next_kept;
    count_--;
    return f;
}

void state_pool::put_frame(func_state *f) {
    f->stack.clear();
    if (count_ == max_kept)
        return destroy_scratch(f);
    f->next_kept = kept_;
    kept_ = f;
    count_++;
}

verifier_state *state_pool::get_state() {
    verifier_state *st = kept_states_;
    if (st) {
        kept_states_ = st->next_kept;
        state_count_--;
    } else {
        st = make_scratch<verifier_state>();
        if (st)
            st->pool = this;
    }
    return st;
}

void state_pool::put_state(verifier_state *st) {
    if (state_count_ == max_kept)
        return destroy_scratch(st);
    st->clear();
    st->next_kept = kept_states_;
    kept_states_ = st;
    state_count_++;
}

stack_page *state_pool::get_page() {
    if (!free_pages_) {
        slab *s = static_cast<slab *>(port_scratch_alloc(sizeof(slab)));
        if (!s)
            return nullptr;
        s->next = slabs_;
        slabs_ = s;
        for (auto &p : s->page)
            put_page(&p);
    }
    stack_page *p = free_pages_;
    free_pages_ = p->next_free;
    return p;
}

stack_page *state_pool::get_page_or_spare() {
    if (stack_page *p = get_page())
        return p;
    failed_ = true;
    spare_.refs = 1;
    return &spare_;
}

// ---- states -----------------------------------------------------------------------------------------------------------

void verifier_state::drop_frame(u32 f) {
    if (!frame[f])
        return;
    if (pool)
        pool->put_frame(frame[f]);
    else
        destroy_scratch(frame[f]);
    frame[f] = nullptr;
}

verifier_state::~verifier_state() { clear(); }

void verifier_state::clear() {
    for (u32 f = 0; f <= curframe; f++)
        drop_frame(f);
    curframe = 0;
    refs.clear();
    modes = {};
    parent = nullptr, since = 0, loop = no_loop;
    callback_turns = may_goto_turns = async_depth = 0;
}

void verifier_state::pop_frame() { drop_frame(curframe--); }

void verifier_state::drop_ref(u32 i) {
    for (; i + 1 < refs.size(); i++)
        refs[i] = refs[i + 1];
    refs.pop();
}

status verifier_state::copy_from(const verifier_state &o) {
    for (u32 f = o.curframe + 1; f <= curframe; f++)
        drop_frame(f);
    curframe = o.curframe;
    for (u32 f = 0; f <= o.curframe; f++) {
        if (!frame[f] && !(frame[f] = pool ? pool->get_frame() : make_scratch<func_state>()))
            return error(ENOMEM);
        TRY(frame[f]->copy_from(*o.frame[f]));
    }
    TRY(refs.copy_from(o.refs));
    modes = o.modes;
    parent = o.parent, since = o.since;
    callback_turns = o.callback_turns, may_goto_turns = o.may_goto_turns, async_depth = o.async_depth;
    return {};
}

}  // namespace modbpf
