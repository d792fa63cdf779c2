// SPDX-License-Identifier: GPL-2.0-only
// Function names from /proc/kallsyms, /proc/PID/maps and ELF symbol tables.
#include "loader/cli/symbols.h"

#include "loader/cli/elffile.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cxxabi.h>
#include <gelf.h>

namespace cli {

namespace {

struct file_closer {
    void operator()(FILE *f) const { fclose(f); }
};
using file = std::unique_ptr<FILE, file_closer>;

/// C++ names without their arguments' types would be ambiguous; with them they are as the source has them.
std::string readable(const char *name) {
    int status = -1;
    char *text = strncmp(name, "_Z", 2) ? nullptr : abi::__cxa_demangle(name, nullptr, nullptr, &status);
    std::string out = status == 0 && text ? text : name;
    free(text);
    return out;
}

void add_functions(Elf *elf, Elf_Scn *section, const GElf_Shdr &header, symbol_table &to) {
    Elf_Data *data = elf_getdata(section, nullptr);
    size_t count = header.sh_entsize ? header.sh_size / header.sh_entsize : 0;
    GElf_Sym s;
    for (size_t i = 0; data && i < count && gelf_getsym(data, static_cast<int>(i), &s); i++) {
        int type = GELF_ST_TYPE(s.st_info);
        const char *name = elf_strptr(elf, header.sh_link, s.st_name);
        if ((type == STT_FUNC || type == STT_GNU_IFUNC) && s.st_shndx != SHN_UNDEF && s.st_value && name && *name)
            to.add(s.st_value, s.st_size, readable(name));
    }
}

} // namespace

void symbol_table::sort() {
    std::stable_sort(all_.begin(), all_.end(), [](const symbol &a, const symbol &b) { return a.address < b.address; });
}

const std::string *symbol_table::find(__u64 address) const {
    auto after = std::upper_bound(all_.begin(), all_.end(), address, [](__u64 a, const symbol &s) { return a < s.address; });
    // Of several that begin at one place any will do; one of size 0 before it may be a label inside.
    for (int tries = 0; after != all_.begin() && tries < 8; tries++) {
        --after;
        if (!after->size || address - after->address < after->size)
            return &after->name;
    }
    return nullptr;
}

symbol_table kernel_symbols() {
    symbol_table out;
    file f(fopen("/proc/kallsyms", "re"));
    char line[1024], name[512], type;
    unsigned long long address;
    while (f && fgets(line, sizeof(line), f.get()))
        if (sscanf(line, "%llx %c %511s", &address, &type, name) == 3 && address && strchr("tTwW", type))
            out.add(address, 0, name);
    out.sort();
    return out;
}

const std::string *elf_image::find(__u64 offset) const {
    for (const segment &s : segments)
        if (offset >= s.offset && offset - s.offset < s.size)
            return functions.find(offset - s.offset + s.address);
    return nullptr;
}

elf_image read_image(const char *path) {
    elf_image out;
    elf_file f;
    size_t headers = 0;
    if (!f.open_file(path) || !f.begin() || elf_getphdrnum(f.elf, &headers))
        return out;
    GElf_Phdr p;
    for (size_t i = 0; i < headers; i++)
        if (gelf_getphdr(f.elf, static_cast<int>(i), &p) && p.p_type == PT_LOAD)
            out.segments.push_back({p.p_offset, p.p_vaddr, p.p_filesz});
    GElf_Shdr header;
    for (Elf_Scn *section = nullptr; (section = elf_nextscn(f.elf, section)) && gelf_getshdr(section, &header);)
        if (header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM)
            add_functions(f.elf, section, header, out.functions);
    out.functions.sort();
    return out;
}

void process_symbols::look(__u32 pid) {
    std::string proc = "/proc/" + std::to_string(pid);
    file f(fopen((proc + "/maps").c_str(), "re"));
    std::vector<mapping> maps;
    char line[4400], perms[8], device[16];
    unsigned long long start, end, offset, inode;
    while (f && fgets(line, sizeof(line), f.get())) {
        int path_at = 0;
        if (sscanf(line, "%llx-%llx %7s %llx %15s %llu %n", &start, &end, perms, &offset, device, &inode, &path_at) < 6 || perms[2] != 'x')
            continue;
        std::string path = path_at ? line + path_at : "";
        while (!path.empty() && path.back() == '\n')
            path.pop_back();
        mapping m = {start, end, offset, path.substr(path.rfind('/') + 1), nullptr};
        if (inode && path.starts_with("/")) {
            std::shared_ptr<elf_image> &image = images_[std::string(device) + ":" + std::to_string(inode)];
            if (!image) {
                // By the mapping, so that neither a mount namespace nor a deleted name hides the file.
                char link[64];
                snprintf(link, sizeof(link), "/map_files/%llx-%llx", start, end);
                image = std::make_shared<elf_image>(read_image((proc + link).c_str()));
                if (image->segments.empty())
                    *image = read_image((proc + "/root" + path).c_str());
            }
            m.image = image;
        }
        maps.push_back(m);
    }
    if (!maps.empty() || !knows(pid))
        processes_[pid] = std::move(maps);
}

std::string process_symbols::name(__u32 pid, __u64 address) const {
    auto process = processes_.find(pid);
    if (process == processes_.end())
        return "[unknown]";
    for (const mapping &m : process->second) {
        if (address < m.start || address >= m.end)
            continue;
        const std::string *function = m.image ? m.image->find(address - m.start + m.offset) : nullptr;
        bool special = m.file.starts_with("[");
        return function ? *function : m.file.empty() ? "[anonymous]" : special ? m.file : "[" + m.file + "]";
    }
    return "[unknown]";
}

} // namespace cli
