// SPDX-License-Identifier: GPL-2.0-only
// A look at an object file before libbpf opens it. libbpf 1.1, Debian 12's, trusts what it should not: it follows a null
// pointer where BTF names a type or a string that is not there, goes round for ever in a typedef of itself, and takes the
// first of no programs in a file that has relocations and none.
#include "loader/cli/cli.h"
#include "loader/cli/elffile.h"

#include <bpf/btf.h>
#include <cerrno>
#include <cstring>
#include <gelf.h>
#include <sys/stat.h>
#include <vector>

namespace cli {

namespace {

/// A function symbol in a non-empty executable section: what libbpf makes a program of.
bool has_program(Elf *elf) {
    std::vector<bool> executable;
    Elf_Data *symbols = nullptr;
    size_t entries = 0;
    GElf_Shdr header;
    Elf_Scn *section = nullptr;
    while ((section = elf_nextscn(elf, section))) {
        if (!gelf_getshdr(section, &header))
            return false;
        executable.resize(elf_ndxscn(section) + 1);
        executable.back() = header.sh_type == SHT_PROGBITS && (header.sh_flags & SHF_EXECINSTR) && header.sh_size;
        if (header.sh_type == SHT_SYMTAB && header.sh_entsize) {
            symbols = elf_getdata(section, nullptr);
            entries = header.sh_size / header.sh_entsize;
        }
    }
    GElf_Sym symbol;
    for (size_t i = 0; symbols && i < entries && gelf_getsym(symbols, static_cast<int>(i), &symbol); i++)
        if (GELF_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx < executable.size() && executable[symbol.st_shndx])
            return true;
    return false;
}

bool type_exists(const struct btf *btf, __u32 id) { return id < btf__type_cnt(btf); }
bool name_exists(const struct btf *btf, __u32 offset) { return btf__name_by_offset(btf, offset) != nullptr; }

/// All ids and names that the type carries are there.
bool sound_type(const struct btf *btf, const struct btf_type *t) {
    __u16 n = btf_vlen(t);
    bool ok = name_exists(btf, t->name_off);
    switch (btf_kind(t)) {
    case BTF_KIND_PTR: case BTF_KIND_TYPEDEF: case BTF_KIND_VOLATILE: case BTF_KIND_CONST: case BTF_KIND_RESTRICT:
    case BTF_KIND_FUNC: case BTF_KIND_VAR: case BTF_KIND_DECL_TAG: case BTF_KIND_TYPE_TAG:
        return ok && type_exists(btf, t->type);
    case BTF_KIND_ARRAY:
        return ok && type_exists(btf, btf_array(t)->type) && type_exists(btf, btf_array(t)->index_type);
    case BTF_KIND_STRUCT: case BTF_KIND_UNION:
        for (__u16 i = 0; ok && i < n; i++)
            ok = type_exists(btf, btf_members(t)[i].type) && name_exists(btf, btf_members(t)[i].name_off);
        return ok;
    case BTF_KIND_ENUM:
        for (__u16 i = 0; ok && i < n; i++)
            ok = name_exists(btf, btf_enum(t)[i].name_off);
        return ok;
    case BTF_KIND_ENUM64:
        for (__u16 i = 0; ok && i < n; i++)
            ok = name_exists(btf, btf_enum64(t)[i].name_off);
        return ok;
    case BTF_KIND_FUNC_PROTO:
        ok = ok && type_exists(btf, t->type);
        for (__u16 i = 0; ok && i < n; i++)
            ok = type_exists(btf, btf_params(t)[i].type) && name_exists(btf, btf_params(t)[i].name_off);
        return ok;
    case BTF_KIND_DATASEC:
        for (__u16 i = 0; ok && i < n; i++)
            ok = type_exists(btf, btf_var_secinfos(t)[i].type);
        return ok;
    default:
        return ok;
    }
}

/// Typedefs and qualifiers lead to something else in the end.
bool chain_ends(const struct btf *btf, __u32 id) {
    for (int i = 0; i < 32; i++) {
        const struct btf_type *t = btf__type_by_id(btf, id);
        if (!t || (!btf_is_mod(t) && !btf_is_typedef(t) && btf_kind(t) != BTF_KIND_TYPE_TAG))
            return true;
        id = t->type;
    }
    return false;
}

/// Empty when the section's types may be followed without looking.
std::string btf_problem(const void *data, __u32 size) {
    struct btf *btf = btf__new(data, size);
    if (!btf)
        return ""; // libbpf says why, or does without
    std::string problem;
    for (__u32 id = 1; problem.empty() && id < btf__type_cnt(btf); id++) {
        const struct btf_type *t = btf__type_by_id(btf, id);
        if (!sound_type(btf, t))
            problem = "has broken BTF: type " + std::to_string(id) + " names a type or a string that is not there";
        else if (!chain_ends(btf, id))
            problem = "has broken BTF: type " + std::to_string(id) + " is defined by itself";
    }
    btf__free(btf);
    return problem;
}

/// The problem of the .BTF section, if there is one of either.
std::string check_btf(Elf *elf) {
    size_t names;
    GElf_Shdr header;
    Elf_Scn *section = nullptr;
    if (elf_getshdrstrndx(elf, &names))
        return "";
    while ((section = elf_nextscn(elf, section))) {
        const char *name = gelf_getshdr(section, &header) ? elf_strptr(elf, names, header.sh_name) : nullptr;
        if (!name || strcmp(name, ".BTF"))
            continue;
        Elf_Data *data = elf_getdata(section, nullptr);
        std::string problem = data && data->d_buf ? btf_problem(data->d_buf, static_cast<__u32>(data->d_size)) : "";
        if (!problem.empty())
            return problem;
    }
    return "";
}

} // namespace

std::string object_problem(const char *path) {
    const std::string advice = "; compile with `clang -O2 -g -target bpf -c`";
    elf_file f;
    struct stat st;
    if (!f.open_file(path) || fstat(f.fd, &st))
        return std::string("cannot be read: ") + strerror(errno);
    if (!S_ISREG(st.st_mode))
        return "is not a file" + advice;
    GElf_Ehdr header;
    if (!f.begin() || !gelf_getehdr(f.elf, &header))
        return "is not a BPF object file: not ELF" + advice;
    if (header.e_machine != EM_BPF && header.e_machine != EM_NONE)
        return "is not a BPF object file: it is for another machine" + advice;
    if (!has_program(f.elf))
        return "holds no BPF program" + advice;
    return check_btf(f.elf);
}

} // namespace cli
