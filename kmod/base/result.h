// SPDX-License-Identifier: GPL-2.0-only
// result<T>: a value or an errno. The only way that core code reports failure.
//
// Errors are positive errno numbers wrapped in `error`; the port boundary alone turns them into -errno.
// Both types are [[nodiscard]]: an ignored failure does not compile.
#pragma once

#include "base/errno.h"
#include "base/types.h"

namespace modbpf {

/// A positive errno.
class [[nodiscard]] error {
public:
    explicit constexpr error(int e) : e_(e) {}
    constexpr int code() const { return e_; }

private:
    int e_;
};

template <class T> class [[nodiscard]] result {
public:
    result(error e) : err_(e.code()) {}
    result(T v) : err_(0) { new (place, &v_) T(move(v)); }
    result(result &&o) noexcept : err_(o.err_) {
        if (!err_)
            new (place, &v_) T(move(o.v_));
    }
    result(const result &) = delete;
    result &operator=(const result &) = delete;
    result &operator=(result &&) = delete;
    ~result() {
        if (!err_)
            v_.~T();
    }

    bool ok() const { return err_ == 0; }
    explicit operator bool() const { return ok(); }
    /// The errno as an `error`; meaningful only when !ok().
    error err() const { return error(err_); }
    /// 0 when ok, else -errno: for the port boundary.
    int code() const { return -err_; }
    T &value() & { return v_; }
    T &&value() && { return move(v_); }
    T &operator*() & { return v_; }
    T *operator->() { return &v_; }

private:
    int err_;
    union {
        T v_;
    };
};

template <> class [[nodiscard]] result<void> {
public:
    constexpr result() : err_(0) {}
    constexpr result(error e) : err_(e.code()) {}
    constexpr bool ok() const { return err_ == 0; }
    constexpr explicit operator bool() const { return ok(); }
    constexpr error err() const { return error(err_); }
    constexpr int code() const { return -err_; }
    constexpr void value() const {}

private:
    int err_;
};

using status = result<void>;

/// Evaluates `expr`, a result<T>; returns its error from the enclosing function, or yields the value.
#define TRY(expr)                                                                                  \
    ({                                                                                             \
        auto &&try_result_ = (expr);                                                               \
        if (__builtin_expect(!try_result_.ok(), 0))                                                                     \
            return try_result_.err();                                                            \
        ::modbpf::move(try_result_).value();                                                       \
    })

}  // namespace modbpf
