// SPDX-License-Identifier: GPL-2.0-only
// Maps as a reader outside the programs sees them: what their types say of keys and values, and what they hold.
#pragma once

#include "loader/cli/cli.h"

namespace cli {

struct map_entry {
    std::vector<unsigned char> key, value; ///< per-CPU maps: the values of all CPUs, each on 8 bytes
};

/// Integers inside of a value.
struct slot_layout {
    size_t offset = 0, unit = 0, count = 0; ///< count 0: none
};

struct map_view {
    struct bpf_map *map;
    const struct btf *btf;
    std::string name;
    enum bpf_map_type type;
    __u32 key_size, value_size, key_type, value_type;
    bool percpu;
    size_t cpus;
    size_t stride;     ///< of one CPU's value
    slot_layout slots; ///< the value is an array of integers, or has one as its member `slots`
    slot_layout rank;  ///< the integer that entries are sorted by: the value, or the first one among its members
};

map_view view_of(struct bpf_object *o, struct bpf_map *m);
bool is_hash(const map_view &v);
bool is_array(const map_view &v);
/// So many entries at the most.
std::vector<map_entry> read_all(const map_view &v, size_t most = 10000);
/// The type is an integer, or it is unknown and the size is one of an integer.
bool is_number(const map_view &v, __u32 type, size_t size);
/// A little-endian number of up to 8 bytes.
__u64 load_number(const unsigned char *p, size_t n);
/// What entries are sorted by, over all CPUs; 0 where the value has no number.
__u64 rank_of(const map_view &v, const map_entry &e);
/// Nothing but zeros: an array's element that nobody used.
bool is_zero(const map_entry &e);
/// The greatest first.
void sort_by_rank(const map_view &v, std::vector<map_entry> &entries);

std::string key_text(const map_view &v, const map_entry &e);
std::string value_text(const map_view &v, const map_entry &e);
/// "key": KEY, "value": VALUE; a per-CPU number as its sum, other values of all CPUs as an array.
std::string entry_json(const map_view &v, const map_entry &e);

/// What a histogram's slot i counts: values of 2^i to 2^(i+1)-1 (step 0), or of i*step to (i+1)*step-1.
struct histogram {
    std::string key; ///< of the entry, or empty: the map is one histogram
    std::vector<__u64> slots;
};
enum class shape { by_name, table, log2, linear };
/// How a map's entries are read as a whole.
struct map_shape {
    shape kind = shape::by_name;
    __u64 step = 1; ///< of linear
};
/// The one map that --top names; no map: none.
struct named_shape {
    std::string map;
    map_shape as;
};
/// By name, a map called *hist* has powers of two, *lhist* equal steps of the number at the name's end (1 without any); others are tables.
map_shape shape_by_name(const std::string &name);
/// False when the entries are no histograms: neither is the value slots, nor the key one.
bool find_histograms(const map_view &v, map_shape as, const std::vector<map_entry> &entries, std::vector<histogram> &out);
std::string histogram_text(const map_view &v, map_shape as, const std::vector<histogram> &all);
/// [{"key": ..., "buckets": [{"low": , "high": , "count": }, ...]}, ...]
std::string histogram_json(map_shape as, const std::vector<histogram> &all);

/// Histograms, tables and global variables of the object's maps, to standard output. One map may have a shape that its name does not say.
void print_maps(struct bpf_object *object, const named_shape &chosen);
/// The same maps as members of a JSON object, without its braces: "NAME": [{"key": ..., "value": ...}, ...], ...
std::string json_maps(struct bpf_object *object, const named_shape &chosen);

} // namespace cli
