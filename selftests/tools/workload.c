// SPDX-License-Identifier: GPL-2.0-only
// The workload of the tools: each argument names a part, which does the same few things in the same order each time.
// usage: wl PART...
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT 7777
#define BLOCK "/run/blk/wl-block"

// What fails would silently leave a tool nothing to show: the run ends with it.
static long must(long r, const char *what) {
    if (r >= 0)
        return r;
    perror(what);
    exit(1);
}
#define MUST(call) must(call, #call)

static void pause_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    syscall(SYS_nanosleep, &t, NULL); // libc's own is clock_nanosleep
}

static void file_in(const char *folder) {
    char text[4096];
    memset(text, 'w', sizeof(text));
    MUST(chdir(folder));
    int fd = (int)MUST(open("wl-file", O_CREAT | O_RDWR | O_TRUNC, 0644));
    MUST(write(fd, text, sizeof(text)));
    MUST(fsync(fd));
    MUST(lseek(fd, 0, SEEK_SET));
    MUST(read(fd, text, sizeof(text)));
    MUST(close(fd));
    struct stat st;
    MUST(stat("wl-file", &st)); // newfstatat
    MUST(syscall(SYS_stat, "wl-file", &st));
    MUST(rename("wl-file", "wl-renamed"));
    pause_ms(20);
    MUST(unlink("wl-renamed"));
    if (open("wl-missing", O_RDONLY) >= 0 || stat("wl-missing", &st) == 0)
        exit(1);
    MUST(chdir("/"));
}

static void part_file(void) { file_in("/tmp"); }
static void part_ext4(void) { file_in("/run/blk"); }
static void part_xfs(void) { file_in("/run/xfs"); }
static void part_btrfs(void) { file_in("/run/btrfs"); }

static void part_block(void) {
    void *page;
    if (posix_memalign(&page, 4096, 65536))
        exit(1);
    memset(page, 'b', 65536);
    int fd = (int)MUST(open(BLOCK, O_CREAT | O_RDWR | O_DIRECT | O_TRUNC, 0644));
    for (int i = 0; i < 8; i++)
        MUST(pwrite(fd, page, 65536, i * 65536L));
    MUST(fsync(fd));
    for (int i = 0; i < 8; i++)
        MUST(pread(fd, page, 4096, (i * 5 % 8) * 65536L));
    MUST(close(fd));
    sync();
    free(page);
}

// Through the page cache, with reading ahead.
static void part_cached(void) {
    static char text[1 << 20];
    int fd = (int)MUST(open(BLOCK, O_CREAT | O_RDWR | O_TRUNC, 0644));
    MUST(write(fd, text, sizeof(text)));
    MUST(fsync(fd));
    MUST(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) ? -1 : 0);
    for (int round = 0; round < 2; round++) {
        MUST(lseek(fd, 0, SEEK_SET));
        for (size_t at = 0; at < sizeof(text); at += 4096)
            MUST(read(fd, text + at, 4096));
    }
    MUST(close(fd));
}

static pid_t child(void (*body)(void)) {
    pid_t pid = (pid_t)MUST(fork());
    if (pid == 0) {
        body();
        _exit(0);
    }
    return pid;
}
static void reap(pid_t pid) { MUST(waitpid(pid, NULL, 0)); }

static void execs(void) { execl("/bin/true", "wl-true", "wl-argument", (char *)NULL); }
static void execs_nothing(void) { execl("/bin/wl-nothing", "wl-nothing", (char *)NULL); }
static void part_exec(void) {
    reap(child(execs));
    reap(child(execs_nothing));
}

static void exits(void) { _exit(3); }
static void waits(void) {
    pause_ms(60000);
}
static void part_exit(void) { reap(child(exits)); }

static void part_signal(void) {
    signal(SIGUSR1, SIG_IGN);
    pid_t pid = child(waits);
    MUST(kill(pid, SIGUSR1));
    MUST(kill(pid, SIGTERM));
    reap(pid);
    if (kill(pid, SIGTERM) == 0)
        exit(1);
}

static void *runs(void *arg) {
    pause_ms(5);
    return arg;
}
static void part_thread(void) {
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        MUST(-pthread_create(&t[i], NULL, runs, NULL));
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
}

static void converse(int family) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr *where = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t size = family == AF_INET ? sizeof(v4) : sizeof(v6);
    char text[1000] = {};
    int one = 1, server = (int)MUST(socket(family, SOCK_STREAM, 0));
    MUST(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
    MUST(bind(server, where, size));
    MUST(listen(server, 8));
    int client = (int)MUST(socket(family, SOCK_STREAM, 0));
    MUST(connect(client, where, size));
    int peer = (int)MUST(accept(server, NULL, NULL));
    for (int i = 0; i < 4; i++) {
        MUST(send(client, text, sizeof(text), 0));
        MUST(recv(peer, text, sizeof(text), MSG_WAITALL));
        MUST(send(peer, text, sizeof(text), 0));
        MUST(recv(client, text, sizeof(text), MSG_WAITALL));
    }
    MUST(close(client));
    pause_ms(5);
    MUST(close(peer));
    MUST(close(server));
    // Nobody listens any more.
    client = (int)MUST(socket(family, SOCK_STREAM, 0));
    if (connect(client, where, size) == 0)
        exit(1);
    MUST(close(client));
}
static void part_tcp(void) { converse(AF_INET); }
static void part_tcp6(void) { converse(AF_INET6); }

static void part_dns(void) {
    struct addrinfo *found = NULL;
    getaddrinfo("localhost", NULL, NULL, &found);
    if (found)
        freeaddrinfo(found);
    gethostbyname("localhost");
}

static void part_mount(void) {
    mkdir("/tmp/wl-mount", 0755);
    MUST(mount("wl-source", "/tmp/wl-mount", "tmpfs", 0, NULL));
    MUST(umount("/tmp/wl-mount"));
}

static void part_shm(void) {
    int id = (int)MUST(shmget(0x777, 4096, IPC_CREAT | 0600));
    void *at = shmat(id, NULL, 0);
    MUST(at == (void *)-1 ? -1 : 0);
    MUST(shmdt(at));
    MUST(shmctl(id, IPC_RMID, NULL));
}

static void becomes_nobody(void) {
    MUST(setgid(65534));
    MUST(setuid(65534));
    if (setuid(0) == 0)
        exit(1);
}
static void part_setuid(void) { reap(child(becomes_nobody)); }

static void part_sleep(void) {
    for (int i = 0; i < 20; i++)
        pause_ms(5);
}

// A third of a second of CPU time, whatever the machine is worth.
__attribute__((noinline)) static void spin(void) {
    struct timespec now;
    volatile unsigned long n = 0;
    do {
        for (int i = 0; i < 10000; i++)
            n = n + (unsigned long)i;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    } while (now.tv_sec == 0 && now.tv_nsec < 333000000);
}
static void part_cpu(void) { reap(child(spin)); }

// More that run than there are CPUs.
static void part_crowd(void) {
    pid_t pids[6];
    for (int i = 0; i < 6; i++)
        pids[i] = child(spin);
    for (int i = 0; i < 6; i++)
        reap(pids[i]);
}

static void part_memory(void) {
    size_t size = 8 << 20;
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(at == MAP_FAILED ? -1 : 0);
    memset(at, 1, size);
    MUST(munmap(at, size));
}

// A place that tools find by the program's notes: provider wl, name piped, one argument.
#define PIPED(n)                                                                                                                         \
    __asm__ volatile("661: nop\n"                                                                                                       \
                     ".pushsection .note.stapsdt, \"\", \"note\"\n"                                                                     \
                     ".balign 4\n"                                                                                                      \
                     ".4byte 663f - 662f, 665f - 664f, 3\n"                                                                             \
                     "662: .asciz \"stapsdt\"\n"                                                                                        \
                     "663: .balign 4\n"                                                                                                 \
                     "664: .8byte 661b, wl_notes_base, 0\n"                                                                             \
                     ".asciz \"wl\"\n"                                                                                                  \
                     ".asciz \"piped\"\n"                                                                                               \
                     ".asciz \"-4@%0\"\n"                                                                                               \
                     "665: .balign 4\n"                                                                                                 \
                     ".popsection\n"                                                                                                    \
                     ".ifndef wl_notes_base\n"                                                                                          \
                     ".pushsection .stapsdt.base, \"a\", \"progbits\"\n"                                                                \
                     "wl_notes_base: .space 1\n"                                                                                        \
                     ".popsection\n"                                                                                                    \
                     ".endif"                                                                                                           \
                     :                                                                                                                  \
                     : "r"(n))

static void part_pipe(void) {
    int ends[2];
    char text[64] = {};
    MUST(pipe(ends));
    for (int i = 0; i < 8; i++) {
        PIPED(i);
        MUST(write(ends[1], text, sizeof(text)));
        MUST(read(ends[0], text, sizeof(text)));
    }
    MUST(close(ends[0]));
    MUST(close(ends[1]));
}

static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {
    {"file", part_file},     {"ext4", part_ext4},   {"block", part_block},   {"cached", part_cached}, {"exec", part_exec},
    {"exit", part_exit},     {"signal", part_signal}, {"thread", part_thread}, {"tcp", part_tcp},     {"tcp6", part_tcp6},
    {"dns", part_dns},       {"mount", part_mount}, {"shm", part_shm},       {"setuid", part_setuid}, {"sleep", part_sleep},
    {"cpu", part_cpu},       {"crowd", part_crowd}, {"memory", part_memory}, {"pipe", part_pipe},     {"xfs", part_xfs},       {"btrfs", part_btrfs},
};

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        size_t p = 0;
        while (p < sizeof(parts) / sizeof(parts[0]) && strcmp(parts[p].name, argv[i]))
            p++;
        if (p == sizeof(parts) / sizeof(parts[0])) {
            fprintf(stderr, "wl: no part is named %s\n", argv[i]);
            return 2;
        }
        parts[p].run();
    }
    return 0;
}
