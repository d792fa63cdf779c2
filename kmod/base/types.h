/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fixed-width integers and the few language traits that a freestanding C++20 build lacks.
 *
 * Valid in C (port/) and C++ (core). `u64` is `unsigned long long` in both, as in the kernel.
 * `char` is unsigned on some kernels and signed on others: use u8 or s8 for numbers.
 */
#ifndef MODBPF_BASE_TYPES_H
#define MODBPF_BASE_TYPES_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;

#ifdef __cplusplus
using size_t = __SIZE_TYPE__;
using uptr = __UINTPTR_TYPE__;

namespace modbpf {

template <class T> struct remove_ref { using type = T; };
template <class T> struct remove_ref<T &> { using type = T; };
template <class T> struct remove_ref<T &&> { using type = T; };

template <class T> constexpr typename remove_ref<T>::type &&move(T &&v) noexcept {
    return static_cast<typename remove_ref<T>::type &&>(v);
}
template <class T> constexpr T &&forward(typename remove_ref<T>::type &v) noexcept {
    return static_cast<T &&>(v);
}
template <class T> constexpr void swap(T &a, T &b) noexcept {
    T t = move(a);
    a = move(b);
    b = move(t);
}
template <class T> constexpr T min(T a, T b) { return b < a ? b : a; }
template <class T> constexpr T max(T a, T b) { return a < b ? b : a; }

template <class A, class B> inline constexpr bool same_type = false;
template <class A> inline constexpr bool same_type<A, A> = true;

template <class T, size_t N> constexpr size_t count_of(const T (&)[N]) { return N; }

/// Rounds `v` up to a multiple of `align`, a power of two. Wraps to 0 when `v` is within `align` of 2^64.
constexpr u64 align_up(u64 v, u64 align) { return (v + align - 1) & ~(align - 1); }
constexpr bool is_pow2(u64 v) { return v && !(v & (v - 1)); }

/// An address as a number and back: the verifier's programs carry pointers as u64.
inline u64 addr_of(const void *p) { return reinterpret_cast<uptr>(p); }
template <class T = void> T *ptr_of(u64 a) { return reinterpret_cast<T *>(static_cast<uptr>(a)); }

}  // namespace modbpf

/// Tag for placement new: `new (place, memory) T(...)`. A tag of our own, because a freestanding build
/// has no <new> and a hosted test that includes it must not see a second definition.
struct modbpf_place {};
inline constexpr modbpf_place place{};
inline void *operator new(size_t, modbpf_place, void *p) noexcept { return p; }

/// A kernel's build zeroes what is not set at once: this is set later.
#define MODBPF_UNINITIALIZED __attribute__((uninitialized))

extern "C" {
void *memcpy(void *dst, const void *src, size_t n) noexcept;
void *memmove(void *dst, const void *src, size_t n) noexcept;
void *memset(void *dst, int c, size_t n) noexcept;
int memcmp(const void *a, const void *b, size_t n) noexcept;
size_t strlen(const char *s) noexcept;
int strcmp(const char *a, const char *b) noexcept;
int strncmp(const char *a, const char *b, size_t n) noexcept;
}
#endif /* __cplusplus */
#endif
