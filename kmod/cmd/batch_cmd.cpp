// SPDX-License-Identifier: GPL-2.0-only
// Batch commands on maps. The count in the caller's attr is zeroed first and set to what was done at the end, as in Linux.
#include "cmd/attr.h"
#include "maps/value.h"
#include "prog/files.h"

namespace modbpf {

namespace {

class buffer {
public:
    buffer() = default;
    buffer(const buffer &) = delete;
    ~buffer() { port_free(p_); }
    u8 *get() const { return p_; }
    bool alloc(u64 n) {
        port_free(p_);
        return (p_ = static_cast<u8 *>(port_alloc(n ? n : 1, PORT_SLEEPING))) != nullptr;
    }

private:
    u8 *p_ = nullptr;
};

struct batch_job {
    const attr_view &v;
    const batch_attr &a;
    map *m;
    u32 key_size, value_size;

    long set_count(u32 n) const { return v.put(__builtin_offsetof(batch_attr, count), n); }
    u64 key_at(u32 i) const { return a.keys + static_cast<u64>(i) * key_size; }
    u64 value_at(u32 i) const { return a.values + static_cast<u64>(i) * value_size; }
    bool flags_bad() const { return (a.elem_flags & ~BPF_F_LOCK) || lock_flag_bad(m, a.elem_flags); }
};

long update_batch(const batch_job &j) {
    buffer key, value;
    if (!key.alloc(j.key_size) || !value.alloc(j.value_size))
        return -ENOMEM;
    long rc = 0;
    u32 done = 0;
    for (; done < j.a.count; done++) {
        rc = -EFAULT;
        if (port_copy_from_user(key.get(), j.key_at(done), j.key_size) ||
            port_copy_from_user(value.get(), j.value_at(done), j.value_size))
            break;
        rc = j.m->ops->update_user(j.m, key.get(), value.get(), j.a.elem_flags);
        if (rc)
            break;
        port_cond_resched();
    }
    return j.set_count(done) ? -EFAULT : rc;
}

long delete_batch(const batch_job &j) {
    buffer key;
    if (!key.alloc(j.key_size))
        return -ENOMEM;
    long rc = 0;
    u32 done = 0;
    for (; done < j.a.count; done++) {
        rc = -EFAULT;
        if (port_copy_from_user(key.get(), j.key_at(done), j.key_size))
            break;
        rc = j.m->ops->remove_user(j.m, key.get());
        if (rc)
            break;
        port_cond_resched();
    }
    return j.set_count(done) ? -EFAULT : rc;
}

/// Arrays: by next_key; the batch token is the last key.
long lookup_by_key(const batch_job &j) {
    buffer prev, key, value;
    if (!prev.alloc(j.key_size) || !key.alloc(j.key_size) || !value.alloc(j.value_size))
        return -ENOMEM;
    bool have_prev = j.a.in_batch != 0;
    if (have_prev && port_copy_from_user(prev.get(), j.a.in_batch, j.key_size))
        return -EFAULT;
    long rc = 0;
    u32 done = 0;
    while (done < j.a.count) {
        rc = j.m->ops->next_key(j.m, have_prev ? prev.get() : nullptr, key.get());
        if (rc)
            break;
        rc = j.m->ops->lookup_user(j.m, key.get(), value.get(), j.a.elem_flags);
        if (rc && rc != -ENOENT)
            return rc;
        if (!rc) {
            if (port_copy_to_user(j.key_at(done), key.get(), j.key_size) ||
                port_copy_to_user(j.value_at(done), value.get(), j.value_size))
                return -EFAULT;
            done++;
        }
        memcpy(prev.get(), key.get(), j.key_size);
        have_prev = true;
        rc = 0;
        port_cond_resched();
    }
    if (j.set_count(done) || (done && port_copy_to_user(j.a.out_batch, prev.get(), j.key_size)))
        return -EFAULT;
    return rc;
}

/// Hash maps: by buckets, in pieces; a bucket that is larger than the piece makes the piece grow.
long lookup_by_bucket(const batch_job &j, bool remove) {
    u32 bucket = 0;
    if (j.a.in_batch && port_copy_from_user(&bucket, j.a.in_batch, sizeof(bucket)))
        return -EFAULT;
    const u32 begin = bucket;
    u64 element = static_cast<u64>(j.key_size) + j.value_size;
    u32 fits = static_cast<u32>(max<u64>(1, 65536 / element)); // a few pages to begin with
    u32 piece = min(j.a.count, min<u32>(64, fits)), done = 0;
    buffer keys, values;
    long rc = 0;
    bool allocate = true;
    while (done < j.a.count) {
        if (allocate && (!keys.alloc(static_cast<u64>(piece) * j.key_size) || !values.alloc(static_cast<u64>(piece) * j.value_size)))
            return -ENOMEM;
        allocate = false;
        u32 room = min(piece, j.a.count - done), n = room;
        rc = j.m->ops->lookup_batch(j.m, &bucket, keys.get(), values.get(), &n, remove, j.a.elem_flags);
        if (n && (port_copy_to_user(j.key_at(done), keys.get(), static_cast<u64>(n) * j.key_size) ||
                  port_copy_to_user(j.value_at(done), values.get(), static_cast<u64>(n) * j.value_size)))
            return -EFAULT;
        done += n;
        if (rc == -ENOSPC && room < j.a.count - done) {
            piece = j.a.count - done < piece * 2 ? j.a.count - done : piece * 2;
            allocate = true;
            rc = 0;
        } else if (rc) {
            break;
        }
        port_cond_resched();
    }
    if (rc == -ENOSPC && done) // the next bucket waits for the next call
        rc = 0;
    if (rc == -ENOENT && bucket == begin) // it began behind the last one: nothing is written
        return rc;
    if (rc && rc != -ENOENT && rc != -ENOSPC)
        return rc;
    if (port_copy_to_user(j.a.out_batch, &bucket, sizeof(bucket)) || j.set_count(done))
        return -EFAULT;
    return rc;
}

enum class batch_kind { lookup, lookup_and_delete, update, remove };

bool available(const map_ops *ops, batch_kind k) {
    bool writes_out = k == batch_kind::lookup_and_delete || k == batch_kind::remove;
    if (k == batch_kind::lookup_and_delete && !ops->lookup_batch)
        return false;
    return ops->batch && (!writes_out || ops->batch_delete);
}

long run(const batch_job &j, batch_kind k) {
    if (!available(j.m->ops, k))
        return -ENOTSUPP;
    bool by_bucket = j.m->ops->lookup_batch && (k == batch_kind::lookup || k == batch_kind::lookup_and_delete);
    if (j.flags_bad() || (by_bucket && j.a.flags))
        return -EINVAL;
    if (!j.a.count)
        return 0;
    if (j.set_count(0))
        return -EFAULT;
    switch (k) {
    case batch_kind::update:
        return update_batch(j);
    case batch_kind::remove:
        return delete_batch(j);
    case batch_kind::lookup:
        return by_bucket ? lookup_by_bucket(j, false) : lookup_by_key(j);
    case batch_kind::lookup_and_delete:
        return lookup_by_bucket(j, true);
    }
    return -EINVAL;
}

long batch(const attr_view &v, batch_kind k) {
    const auto &a = v.as<batch_attr>();
    bool reads = k == batch_kind::lookup || k == batch_kind::lookup_and_delete, writes = k != batch_kind::lookup;
    result<held_file<map>> f = hold_file<map>(static_cast<int>(a.map_fd), map_file_ops);
    if (!f)
        return f.code();
    map *m = f->get();
    if (writes)
        map_write_begin(m);
    long rc = -EPERM;
    if ((!reads || f->readable()) && (!writes || (f->writable() && !map_frozen(m))))
        rc = run({v, a, m, m->params.key_size, m->user_value_size()}, k);
    if (writes) {
        map_change_settle(m); // whatever was done of it
        map_write_end(m);
    }
    return rc;
}

}  // namespace

long cmd_map_lookup_batch(const attr_view &v) { return batch(v, batch_kind::lookup); }
long cmd_map_lookup_and_delete_batch(const attr_view &v) { return batch(v, batch_kind::lookup_and_delete); }
long cmd_map_update_batch(const attr_view &v) { return batch(v, batch_kind::update); }
long cmd_map_delete_batch(const attr_view &v) { return batch(v, batch_kind::remove); }

}  // namespace modbpf
