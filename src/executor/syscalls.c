#include "executor/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* The list began as what strace saw of dubs (models loaded and optimised, decoded, generated, encoded, joined). Added
 * was what the same libraries call in cases that those did not meet, among calls that reach nothing outside of the
 * process but what Landlock guards and the descriptors it has. By name, since Debian's libseccomp knows fewer of them
 * than newer ones: a name that it does not know is passed over. */
static const char *const allowed[] = {
    /* memory */
    "brk",
    "madvise",
    "mremap",
    "munmap",
    "mincore",
    "membarrier",
    /* threads of this process */
    "futex",
    "set_robust_list",
    "get_robust_list",
    "rseq",
    "set_tid_address",
    "arch_prctl",
    "exit",
    "exit_group",
    "restart_syscall",
    "sched_yield",
    "sched_getaffinity",
    "sched_getparam",
    "sched_getscheduler",
    "sched_getattr",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "getcpu",
    /* its own signals */
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigsuspend",
    "sigaltstack",
    "signalfd4",
    "pause",
    /* time */
    "clock_gettime",
    "clock_getres",
    "clock_nanosleep",
    "gettimeofday",
    "nanosleep",
    "time",
    "timerfd_create",
    "timerfd_settime",
    "timerfd_gettime",
    /* what it is */
    "getpid",
    "gettid",
    "getppid",
    "getpgrp",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getgroups",
    "getcwd",
    "uname",
    "sysinfo",
    "getrusage",
    "times",
    "getrandom",
    "capget",
    /* descriptors that it has */
    "read",
    "readv",
    "pread64",
    "preadv",
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "lseek",
    "close",
    "close_range",
    "dup",
    "dup2",
    "dup3",
    "pipe",
    "pipe2",
    "eventfd2",
    "fstat",
    "fstatfs",
    "fsync",
    "fdatasync",
    "ftruncate",
    "fallocate",
    "fadvise64",
    "getdents64",
    "copy_file_range",
    "sendfile",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "recvfrom",
    "recvmsg",
    "sendmsg",
    "shutdown",
    "getsockopt",
    /* files by name, which Landlock guards; stat and readlink it does not */
    "open",
    "openat",
    "stat",
    "lstat",
    "newfstatat",
    "statx",
    "statfs",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
};

/* CUDA makes shared and executable memory, and pins threads. NVIDIA's driver is spoken to by ioctl; see card_rules. */
static const char *const card_allowed[] = {"mmap",          "mprotect",      "memfd_create",
                                           "mlock",         "munlock",       "sched_setaffinity",
                                           "get_mempolicy", "set_mempolicy", "mbind"};

enum { ARGUMENTS_MAX = 2 };

/* A call that is allowed while these of its arguments, under the mask, are those values. Most are ints, of which the
 * kernel looks at 32 bits; what a caller leaves in the others must not matter. */
struct call_rule {
    const char *name;
    struct scmp_arg_cmp arguments[ARGUMENTS_MAX];
    unsigned count;
};
#define ARGUMENT(index, bits, value) {.arg = (index), .op = SCMP_CMP_MASKED_EQ, .datum_a = (bits), .datum_b = (value)}
#define WHOLE UINT32_MAX
#define FIRST_IS(value) {ARGUMENT(0, WHOLE, value)}, 1
#define SECOND_IS(value) {ARGUMENT(1, WHOLE, value)}, 1

static const struct call_rule rules[] = {
    /* a thread, and no process; clone3 keeps its flags where a filter cannot look, and is one of the "younger" */
    {"clone", {ARGUMENT(0, CLONE_THREAD, CLONE_THREAD)}, 1},
    {"prctl", FIRST_IS(PR_SET_NAME)},
    {"prctl", FIRST_IS(PR_GET_NAME)},
    {"prctl", FIRST_IS(PR_GET_DUMPABLE)},
    {"prctl", FIRST_IS(0x53564d41)}, /* PR_SET_VMA: newer glibc names its memory */
    /* Limits are read and not set, and only one's own. */
    {"prlimit64", {ARGUMENT(0, WHOLE, 0), ARGUMENT(2, UINT64_MAX, 0)}, 2},
    /* Not F_SETOWN and F_SETSIG: with them the kernel sends any signal to any process of this user. */
    {"fcntl", SECOND_IS(F_DUPFD)},
    {"fcntl", SECOND_IS(F_DUPFD_CLOEXEC)},
    {"fcntl", SECOND_IS(F_GETFD)},
    {"fcntl", SECOND_IS(F_SETFD)},
    {"fcntl", SECOND_IS(F_GETFL)},
    {"fcntl", SECOND_IS(F_SETFL)},
    {"fcntl", SECOND_IS(F_GETLK)},
    {"fcntl", SECOND_IS(F_SETLK)},
    {"fcntl", SECOND_IS(F_SETLKW)},
    /* isatty: not TIOCSTI, which types into the terminal of who started this */
    {"ioctl", SECOND_IS(TCGETS)},
    /* file_write_atomic; no setuid bit, whoever runs the file later */
    {"fchmod", {ARGUMENT(1, 07000, 0)}, 1},
    /* to whom the socket is connected, and nobody else */
    {"sendto", {ARGUMENT(4, UINT64_MAX, 0)}, 1},
};

/* Memory that is shared, or a stack that grows, would not count against the limit of memory; and what is written is not
 * run, except by way of a file. */
#define MAP_KIND (MAP_TYPE | MAP_ANONYMOUS | MAP_GROWSDOWN)
static const struct call_rule no_card_rules[] = {
    {"mmap", {ARGUMENT(3, MAP_KIND, MAP_PRIVATE | MAP_ANONYMOUS), ARGUMENT(2, PROT_EXEC, 0)}, 2},
    {"mmap", {ARGUMENT(3, MAP_KIND, MAP_PRIVATE), ARGUMENT(2, PROT_EXEC, 0)}, 2},
    {"mmap", {ARGUMENT(3, MAP_KIND, MAP_PRIVATE), ARGUMENT(2, PROT_WRITE, 0)}, 2},
    {"mprotect", {ARGUMENT(2, PROT_EXEC | PROT_GROWSDOWN, 0)}, 1},
};

/* NVIDIA's ioctls as gVisor's nvproxy lists them: those of type 'F', the small numbers of nvidia-uvm, and its two to
 * begin and end. Among them is none that sets a descriptor's owner or types into a terminal. */
static const struct call_rule card_rules[] = {
    {"ioctl", {ARGUMENT(1, 0xff00, 'F' << 8)}, 1},
    {"ioctl", {ARGUMENT(1, 0xffffff00, 0)}, 1},
    {"ioctl", SECOND_IS(0x30000001)},
    {"ioctl", SECOND_IS(0x30000002)},
};

/* Calls from pidfd_open (Linux 5.3) on: libraries try one and fall back when the kernel does not know it. */
enum { YOUNGER_FIRST = 434, NUMBERS = 512 };

struct call_filter {
    scmp_filter_ctx context;
    bool listed[NUMBERS];
    int failure; /* the first one, as a negative errno; 0: none */
};

static void filter_free(struct call_filter *filter) {
    if (filter->context)
        seccomp_release(filter->context);
}

static void filter_note(struct call_filter *filter, int result) {
    if (filter->failure == 0 && result < 0)
        filter->failure = result;
}

static void filter_allow(struct call_filter *filter, const struct call_rule *rule) {
    int number = seccomp_syscall_resolve_name(rule->name);
    if (number < 0)
        return;
    if (number < NUMBERS)
        filter->listed[number] = true;
    filter_note(filter, seccomp_rule_add_array(filter->context, SCMP_ACT_ALLOW, number, rule->count, rule->arguments));
}

static void filter_allow_names(struct call_filter *filter, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        filter_allow(filter, &(struct call_rule){.name = names[i]});
}

static void filter_allow_rules(struct call_filter *filter, const struct call_rule *from, size_t count) {
    for (size_t i = 0; i < count; i++)
        filter_allow(filter, &from[i]);
}

static void filter_allow_own_signals(struct call_filter *filter) {
    const struct call_rule own[] = {{"kill", FIRST_IS((uint32_t)getpid())}, {"tgkill", FIRST_IS((uint32_t)getpid())}};
    filter_allow_rules(filter, own, ARRAY_LENGTH(own));
}

static void filter_hide_younger(struct call_filter *filter) {
    for (int number = YOUNGER_FIRST; number < NUMBERS; number++)
        if (!filter->listed[number])
            filter_note(filter, seccomp_rule_add(filter->context, SCMP_ACT_ERRNO(ENOSYS), number, 0));
}

/* The usual answer to another architecture's calls (i386, x32) would be to kill. A tree instead of a chain: there are
 * many rules, and the kernel asks at each call. */
static void filter_set_attributes(struct call_filter *filter) {
    filter_note(filter, seccomp_attr_set(filter->context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM)));
    filter_note(filter, seccomp_attr_set(filter->context, SCMP_FLTATR_CTL_TSYNC, 1));
    filter_note(filter, seccomp_attr_set(filter->context, SCMP_FLTATR_CTL_OPTIMIZE, 2));
}

bool syscalls_can_be_filtered(void) {
    uint32_t action = SECCOMP_RET_ERRNO;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

bool syscalls_restrict(bool card, struct error *err) {
    _cleanup_(filter_free) struct call_filter filter = {.context = seccomp_init(SCMP_ACT_ERRNO(EPERM))};
    if (!filter.context)
        return error_set(err, ERR_INTERNAL, "libseccomp makes no filter");
    filter_set_attributes(&filter);
    filter_allow_names(&filter, allowed, ARRAY_LENGTH(allowed));
    filter_allow_rules(&filter, rules, ARRAY_LENGTH(rules));
    filter_allow_own_signals(&filter);
    if (card) {
        filter_allow_names(&filter, card_allowed, ARRAY_LENGTH(card_allowed));
        filter_allow_rules(&filter, card_rules, ARRAY_LENGTH(card_rules));
    } else {
        filter_allow_rules(&filter, no_card_rules, ARRAY_LENGTH(no_card_rules));
    }
    filter_hide_younger(&filter);
    if (filter.failure == 0)
        filter_note(&filter, seccomp_load(filter.context));
    return filter.failure == 0 ||
           error_set_errno(err, ERR_INTERNAL, -filter.failure, "the system calls cannot be filtered");
}
