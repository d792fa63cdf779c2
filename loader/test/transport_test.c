/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A program that knows nothing of modbpf, run with libmodbpf.so preloaded: every system call but two behaves as without
 * it. With "double" as argument the library is linked with core_double.cpp and MODBPF_BACKEND=process.
 * With "nodevice": no /dev/modbpf. Prints "ok" or what differed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures;
#define CHECK(c) do { if (!(c)) { failures++; printf("%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #c, errno); } } while (0)

/* The kernel's own answer, without libc. */
static long direct(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 asm("r10") = d;
	register long r8 asm("r8") = e;
	register long r9 asm("r9") = f;
	long ret;

	asm volatile("syscall" : "=a"(ret) : "0"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		     : "rcx", "r11", "memory");
	return ret;
}

/* Numbers that fail, or tell something that does not change, when every argument is -1. */
static const short harmless[] = {
	SYS_read, SYS_write, SYS_open, SYS_close, SYS_stat, SYS_fstat, SYS_lstat, SYS_lseek, SYS_pread64, SYS_pwrite64,
	SYS_readv, SYS_writev, SYS_access, SYS_pipe, SYS_mincore, SYS_dup, SYS_dup2, SYS_getpid, SYS_sendfile, SYS_socket,
	SYS_connect, SYS_accept, SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_bind, SYS_listen, SYS_getsockname,
	SYS_getpeername, SYS_setsockopt, SYS_getsockopt, SYS_uname, SYS_fcntl, SYS_flock, SYS_fsync, SYS_fdatasync,
	SYS_truncate, SYS_ftruncate, SYS_getdents, SYS_getcwd, SYS_chdir, SYS_fchdir, SYS_rename, SYS_mkdir, SYS_rmdir,
	SYS_creat, SYS_link, SYS_unlink, SYS_symlink, SYS_readlink, SYS_chmod, SYS_fchmod, SYS_chown, SYS_fchown,
	SYS_gettimeofday, SYS_getuid, SYS_getgid, SYS_geteuid, SYS_getegid, SYS_getppid, SYS_getpgid, SYS_getsid,
	SYS_statfs, SYS_fstatfs, SYS_sched_getparam, SYS_sched_getscheduler, SYS_gettid, SYS_readahead, SYS_getxattr,
	SYS_fgetxattr, SYS_listxattr, SYS_getdents64, SYS_epoll_ctl, SYS_mq_open, SYS_openat, SYS_mkdirat, SYS_newfstatat,
	SYS_unlinkat, SYS_renameat, SYS_linkat, SYS_symlinkat, SYS_readlinkat, SYS_faccessat, SYS_splice, SYS_tee,
	SYS_sync_file_range, SYS_utimensat, SYS_signalfd, SYS_fallocate, SYS_timerfd_settime,
	SYS_timerfd_gettime, SYS_dup3, SYS_pipe2, SYS_preadv, SYS_pwritev, SYS_name_to_handle_at, SYS_syncfs,
	SYS_sendmmsg, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_finit_module, SYS_renameat2, SYS_getrandom,
	SYS_memfd_create, SYS_execveat, SYS_copy_file_range, SYS_statx, SYS_pidfd_send_signal, SYS_io_uring_register, SYS_fsopen,
	SYS_openat2, SYS_pidfd_getfd, SYS_faccessat2, 400, 511, 600,
};

static void numbers(void)
{
	for (unsigned int i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
		long n = harmless[i], want, got;

		want = direct(n, -1, -1, -1, -1, -1, -1);
		errno = 0;
		got = syscall(n, -1L, -1L, -1L, -1L, -1L, -1L);
		if (want < 0 && want >= -4095) {
			if (got != -1 || errno != -want)
				printf("number %ld: %ld errno %d, the kernel says %ld\n", n, got, errno, want), failures++;
		} else if (got != want) {
			printf("number %ld: %ld, the kernel says %ld\n", n, got, want), failures++;
		}
	}
	CHECK(syscall(100000) == -1 && errno == ENOSYS);
}

static void six_arguments(void)
{
	int fd = memfd_create("x", 0);
	char buf[8];

	CHECK(syscall(SYS_getpid) == getpid());
	CHECK(ftruncate(fd, 8192) == 0 && pwrite(fd, "abcd", 4, 4096) == 4);
	/* mmap carries six: the offset is the sixth. */
	char *p = (char *)syscall(SYS_mmap, NULL, 4096L, (long)PROT_READ, (long)MAP_SHARED, (long)fd, 4096L);
	CHECK(p != MAP_FAILED && !memcmp(p, "abcd", 4));
	CHECK(syscall(SYS_munmap, p, 4096L) == 0);
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096);
	CHECK(p != MAP_FAILED && !memcmp(p, "abcd", 4));
	CHECK(munmap(p, 4096) == 0);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 1) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, 0, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(munmap((void *)1, 1) == -1 && errno == EINVAL);
	CHECK(ioctl(fd, 0x1234) == -1 && errno == ENOTTY);
	CHECK(ioctl(-1, 0x1234, buf) == -1 && errno == EBADF);
	close(fd);
}

static void perf_passes_through(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_CPU_CLOCK };
	long want = direct(SYS_perf_event_open, (long)&attr, 0, -1, -1, 0, 0);
	long got = syscall(SYS_perf_event_open, &attr, 0L, -1L, -1L, 0L);

	CHECK((want < 0) == (got < 0));
	CHECK(got >= 0 || -errno == want);
	if (want >= 0)
		close(want);
	if (got >= 0)
		close(got);
	CHECK(syscall(SYS_perf_event_open, 1L, 0L, -1L, -1L, 0L) == -1 && errno == EFAULT);
}

static void *thread(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		errno = 77;
		if (syscall(SYS_gettid) <= 0 || errno != 77)
			__sync_fetch_and_add(&failures, 1);
		if (syscall(SYS_close, -1L) != -1 || errno != EBADF)
			__sync_fetch_and_add(&failures, 1);
	}
	return arg;
}

static void threads_and_fork(void)
{
	pthread_t t[4];
	int status;

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, thread, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	pid_t pid = (pid_t)syscall(SYS_fork);
	if (pid == 0)
		syscall(SYS_exit_group, syscall(SYS_getppid) > 0 ? 17L : 1L);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 17);
}

static void with_double(void)
{
	unsigned v = 41;
	int status;

	CHECK(syscall(SYS_bpf, 1L, &v, sizeof(v)) == 0 && v == 42);
	CHECK(syscall(SYS_bpf, 1L, (void *)8, sizeof(v)) == -1 && errno == EFAULT);
	CHECK(syscall(SYS_bpf, 5L, &v, sizeof(v)) == -1 && errno == EINVAL);
	int fd = (int)syscall(SYS_bpf, 0L, NULL, 0L);
	CHECK(fd >= 0);
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	p[0] = 5;
	CHECK(ioctl(fd, 3, 4) == 7);
	pid_t pid = fork();
	if (pid == 0) { /* shared pages, working core */
		v = 1;
		_exit(p[0] == 5 && (p[1] = 9) && syscall(SYS_bpf, 1L, &v, sizeof(v)) == 0 && v == 2 ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0 && p[1] == 9);
	close(fd);
	CHECK(munmap(p, 4096) == 0);
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_BPF_OUTPUT };
	CHECK(syscall(SYS_perf_event_open, &attr, -1L, 0L, -1L, 0L) == -1 && errno == EOPNOTSUPP);
}

int main(int argc, char **argv)
{
	numbers();
	six_arguments();
	perf_passes_through();
	threads_and_fork();
	if (argc > 1 && !strcmp(argv[1], "double"))
		with_double();
	if (argc > 1 && !strcmp(argv[1], "nodevice"))
		for (int i = 0; i < 2; i++)
			CHECK(syscall(SYS_bpf, 0L, NULL, 0L) == -1 && errno == ENODEV);
	if (!failures)
		puts("ok");
	return failures != 0;
}
