/* SPDX-License-Identifier: GPL-2.0-only */
/* Linux x86-64 error numbers that bpf() returns (man 2 bpf, asm-generic/errno*.h). C and C++. */
#ifndef MODBPF_BASE_ERRNO_H
#define MODBPF_BASE_ERRNO_H

/* Redefinition with the same value is legal, so the order of inclusion with the system header is free. */
#define EPERM 1
#define ENOENT 2
#define ESRCH 3
#define EINTR 4
#define EIO 5
#define ENXIO 6
#define E2BIG 7
#define EBADF 9
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define EFAULT 14
#define EBUSY 16
#define EEXIST 17
#define ENODEV 19
#define EINVAL 22
#define ENOTTY 25
#define ENOSPC 28
#define EPIPE 32
#define EDOM 33
#define ERANGE 34
#define EDEADLK 35
#define ENAMETOOLONG 36
#define ELOOP 40
#define EPROTO 71
#define EBADMSG 74
#define EOVERFLOW 75
#define EBADFD 77
#define EILSEQ 84
#define ENOTSOCK 88
#define EOPNOTSUPP 95
#define ENODATA 61
#define ETIMEDOUT 110
#define EALREADY 114
#define ENOTSUPP 524 /* kernel-internal number that bpf() lets through to user space */
#endif
