// SPDX-License-Identifier: GPL-2.0-only
#include "jit/jit.h"

#include "jit/liveness.h"
#include "jit/lower.h"

namespace modbpf {

namespace {
u32 passes_on = all_passes; ///< for programs to come; no lock: each load reads it once
}

status set_jit_passes(const char *list) {
    u32 passes = TRY(parse_passes(list));
    __atomic_store_n(&passes_on, passes, __ATOMIC_RELAXED);
    return {};
}

jit_image::jit_image(jit_image &&o) noexcept {
    *this = move(o);
}

jit_image &jit_image::operator=(jit_image &&o) noexcept {
    swap(pages_, o.pages_);
    swap(text_, o.text_);
    swap(size_, o.size_);
    swap(used_, o.used_);
    swap(entry_offset_, o.entry_offset_);
    swap(tail_offset_, o.tail_offset_);
    funcs_ = move(o.funcs_);
    insn_offsets_ = move(o.insn_offsets_);
    return *this;
}

jit_image::~jit_image() {
    if (pages_)
        port_text_free(pages_, size_);
}

u64 (*jit_image::entry() const)(const void *ctx) {
    return reinterpret_cast<u64 (*)(const void *)>(addr_of(text_) + entry_offset_);
}

const void *jit_image::tail_entry() const {
    return static_cast<const u8 *>(text_) + tail_offset_;
}

// Code starts anywhere in the first of its pages, int3 around it, so that who learns or shapes one image's address cannot tell what lies
// where in the next.
constexpr u32 start_align = 64; ///< a line of the cache, from which the layout counts
constexpr u32 least_hole = 128; ///< what is left for choice where the code would fill its pages; Linux's

/// The steps of one translation: facts, lowering, layout, text.
struct jit_builder {
    const code &c;
    const jit_options &options;
    jit_machine env{};
    jit_facts facts;
    assembler out;
    jit_image image;

    status write(lowering &lower, u32 size) {
        size_t bytes = align_up(size + least_hole, PORT_PAGE_SIZE);
        image.pages_ = port_text_alloc(bytes);
        if (!image.pages_)
            return error(ENOMEM);
        u64 start = port_random_seed() % ((bytes - size) / start_align + 1) * start_align;
        image.text_ = static_cast<u8 *>(image.pages_) + start;
        image.size_ = bytes, image.used_ = size;
        TRY(out.emit(static_cast<u8 *>(image.text_), size));
        int err = port_text_seal(image.pages_, bytes);
        if (err)
            return error(-err);
        image.entry_offset_ = out.offset(lower.entry_label(0));
        image.tail_offset_ = out.offset(lower.tail_label());
        return {};
    }

    status describe(lowering &lower) {
        u32 count = static_cast<u32>(c.insns.size()) + 1;
        TRY(image.insn_offsets_.resize_zeroed(count));
        for (u32 i = 0; i < count; i++)
            image.insn_offsets_[i] = out.offset(facts.op_of[i]);
        TRY(image.funcs_.reserve(facts.frames.size()));
        for (u32 i = 0; i < facts.frames.size(); i++) {
            u32 from = out.offset(lower.entry_label(i));
            TRY(image.funcs_.push({facts.frames[i].start, from, out.offset(lower.end_label(i)) - from, out.offset(lower.start_label(i))}));
        }
        return {};
    }

    status run() {
        u32 passes = __atomic_load_n(&passes_on, __ATOMIC_RELAXED) & options.passes;
        if (!c.guards.empty())
            passes &= guarded_passes;
        if (options.hooks)
            passes &= ~pass_bit(jit_pass::inline_);
        facts.blind = options.blind;
        TRY(jit_analyse(c, facts));
        TRY(run_passes(facts, {c, env, passes, options.thorough}));
        lowering lower(c, facts, env, options, passes, out);
        TRY(out.set_labels(lower.label_count()));
        TRY(lower.run());
        u32 size = TRY(out.resolve());
        TRY(describe(lower));
        return write(lower, size);
    }
};

bool reads_context(const code &c) {
    jit_facts facts;
    scratch_vec<u16> after;
    if (!jit_analyse(c, facts).ok() || !find_liveness(facts, facts.frames[0], after).ok())
        return true;
    u16 read = live_before(facts.ops[facts.frames[0].first], after[0]);
    return read >> BPF_REG_1 & 1;
}

result<jit_image> jit_compile(const code &c, const jit_options &options) {
    jit_builder b{c, options, {}, {}, {}, {}};
    if (options.env)
        b.env = *options.env;
    else
        port_jit_env(&b.env);
    TRY(b.run());
    return move(b.image);
}

}  // namespace modbpf
