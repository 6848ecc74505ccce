/* The fence against a process that tries to break out. Each attempt is made twice, by a child process each time: first
 * without a fence, where it must succeed (if it does not, this kernel or sandbox lacks the means, and the attempt is
 * skipped by name), then behind the fence, where it must not. */
#include "directory_fixture.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "executor/fence.h"

/* Of memory. The sanitizers' own is beyond any limit. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIMIT 0
#else
#define LIMIT ((int64_t)256 << 20)
#endif

enum { HELD = 10, ESCAPED, NOT_RAISED }; /* how a child ends */

/* What the children work on. Those of them that are here in the parent are there to be reached. */
struct yard {
    char *directory, *read, *write, *beside; /* folders; of `read` and `write` the fence is told */
    char *path;                              /* of a UNIX socket in `write`: even there it is not to be reached */
    int tcp, path_server, abstract_server;   /* listening */
    int secret;                              /* a descriptor of the parent's */
    struct sockaddr_in tcp_address;
    struct sockaddr_un path_address, abstract_address;
    socklen_t abstract_length;
    pid_t parent;
};

/* True when it got out. */
typedef bool attempt(const struct yard *yard);

/* The part of the fence that an attempt meets; where the machine cannot have that part the attempt is skipped. */
enum part { PART_CALLS, PART_FILES, PART_TRUNCATION, PART_PRIVILEGES };

/* ---- the yard ---- */

static void yard_file(const char *directory, const char *name) {
    struct error err;
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name);
    assert_ok(file_write_atomic(path, "text", 4, 0666, &err), err);
}

static char *yard_folder(const struct yard *yard, const char *name) {
    struct error err;
    char *path = xasprintf("%s/%s", yard->directory, name);
    assert_ok(directory_make(path, &err), err);
    yard_file(path, "file");
    return path;
}

static int yard_listen(const void *address, socklen_t length) {
    int listener = socket(((const struct sockaddr *)address)->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, address, length), 0);
    assert_int_equal(listen(listener, 16), 0);
    return listener;
}

static void yard_listen_all(struct yard *yard) {
    socklen_t length = sizeof yard->tcp_address;
    yard->tcp_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    yard->tcp = yard_listen(&yard->tcp_address, length);
    assert_int_equal(getsockname(yard->tcp, (struct sockaddr *)&yard->tcp_address, &length), 0);
    yard->path_address.sun_family = yard->abstract_address.sun_family = AF_UNIX;
    snprintf(yard->path_address.sun_path, sizeof yard->path_address.sun_path, "%s", yard->path);
    yard->path_server = yard_listen(&yard->path_address, sizeof yard->path_address);
    int named = snprintf(yard->abstract_address.sun_path + 1, sizeof yard->abstract_address.sun_path - 1, "mela%s",
                         yard->directory);
    yard->abstract_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)named);
    yard->abstract_server = yard_listen(&yard->abstract_address, yard->abstract_length);
}

static int yard_setup(void **state) {
    struct yard *yard = xnew(struct yard);
    yard->directory = directory_for_test();
    yard->read = yard_folder(yard, "read");
    yard->write = yard_folder(yard, "write");
    yard->beside = yard_folder(yard, "beside");
    yard->path = xasprintf("%s/socket", yard->write);
    yard->parent = getpid();
    _cleanup_free_ char *link = xasprintf("%s/link", yard->write), *target = xasprintf("%s/file", yard->beside);
    assert_int_equal(symlink(target, link), 0);
    yard->secret = open(target, O_RDONLY | O_CLOEXEC);
    assert_true(yard->secret >= 0);
    yard_listen_all(yard);
    *state = yard;
    return 0;
}

static int yard_teardown(void **state) {
    struct yard *yard = *state;
    close(yard->tcp);
    close(yard->path_server);
    close(yard->abstract_server);
    close(yard->secret);
    tree_remove(yard->directory);
    free(yard->directory);
    free(yard->read);
    free(yard->write);
    free(yard->beside);
    free(yard->path);
    free(yard);
    return 0;
}

/* ---- trying ---- */

static bool yard_raise(const struct yard *yard, int64_t memory, struct fence_report *held) {
    const char *read[] = {yard->read}, *write[] = {yard->write};
    struct fence fence = {.read = read, .read_count = 1, .write = write, .write_count = 1, .memory_bytes = memory};
    struct error err;
    bool raised = fence_raise(&fence, held, &err);
    if (!raised)
        fprintf(stderr, "%s\n", err.message);
    return raised;
}

/* How the child ended that made the attempt. It leaves by _exit: a sanitizer's last words would need what it gave up.
 */
static int yard_child(const struct yard *yard, attempt *escape, bool fenced, int64_t memory) {
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct fence_report held;
        if (fenced && !yard_raise(yard, memory, &held))
            _exit(NOT_RAISED);
        _exit(escape(yard) ? ESCAPED : HELD);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static bool part_is_here(enum part part) {
    struct fence_report here;
    fence_probe(&here);
    const bool parts[] = {here.system_calls, here.files, here.truncation, here.privileges};
    return parts[part];
}

/* The second try finds a yard in order. */
static void yard_try_within(void **state, attempt *escape, const char *name, enum part part, int64_t memory) {
    if (!part_is_here(part) || yard_child(*state, escape, false, 0) != ESCAPED) {
        print_message("%s: this machine lacks the means\n", name);
        skip();
    }
    yard_teardown(state);
    yard_setup(state);
    int status = yard_child(*state, escape, true, memory);
    if (status != HELD)
        fail_msg("%s: the child ended with %d, not %d", name, status, HELD);
}

/* Defines the test NAME_fails of the attempt NAME. */
#define ATTEMPT_AT(name, part)                                                                                         \
    static attempt name;                                                                                               \
    static void name##_fails(void **state) { yard_try_within(state, name, #name, part, 0); }                           \
    static bool name(const struct yard *yard)
#define ATTEMPT(name) ATTEMPT_AT(name, PART_CALLS)
#define FILE_ATTEMPT(name) ATTEMPT_AT(name, PART_FILES)
#define ATTEMPT_TEST(name) cmocka_unit_test_setup_teardown(name##_fails, yard_setup, yard_teardown)

/* ---- the network ---- */

static bool reach(int family, const void *address, socklen_t length) {
    int way = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return way >= 0 && connect(way, address, length) == 0;
}

ATTEMPT(tcp_connect) { return reach(AF_INET, &yard->tcp_address, sizeof yard->tcp_address); }
ATTEMPT(unix_path_connect) { return reach(AF_UNIX, &yard->path_address, sizeof yard->path_address); }
ATTEMPT(abstract_connect) { return reach(AF_UNIX, &yard->abstract_address, yard->abstract_length); }
ATTEMPT(socket_making) {
    return socket(AF_INET, SOCK_DGRAM, 0) >= 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, (int[2]){0}) == 0;
}

/* ---- files ---- */

/* Opens directory/name; true when it could, and then the file is closed again. */
static bool can_open(const char *directory, const char *name, int flags) {
    _cleanup_free_ char *path = xasprintf("%s/%s", directory, name);
    _cleanup_close_ int descriptor = open(path, flags | O_CLOEXEC, 0644);
    return descriptor >= 0;
}

FILE_ATTEMPT(passwd_read) { return can_open("/etc", "passwd", O_RDONLY); }
FILE_ATTEMPT(root_list) { return can_open("/", "", O_RDONLY | O_DIRECTORY); }
FILE_ATTEMPT(neighbour_read) { return can_open(yard->beside, "file", O_RDONLY); }
FILE_ATTEMPT(neighbour_read_by_dots) { return can_open(yard->write, "../beside/file", O_RDONLY); }
FILE_ATTEMPT(link_followed) { return can_open(yard->write, "link", O_RDONLY); }
FILE_ATTEMPT(input_write) { return can_open(yard->read, "file", O_WRONLY); }
FILE_ATTEMPT(input_create) { return can_open(yard->read, "new", O_WRONLY | O_CREAT); }
FILE_ATTEMPT(outside_create) { return can_open(yard->beside, "new", O_WRONLY | O_CREAT); }

ATTEMPT_AT(input_truncate, PART_TRUNCATION) {
    _cleanup_free_ char *path = xasprintf("%s/file", yard->read);
    return truncate(path, 0) == 0 || can_open(yard->read, "file", O_RDONLY | O_TRUNC);
}

FILE_ATTEMPT(input_remove) {
    _cleanup_free_ char *path = xasprintf("%s/file", yard->read);
    return unlink(path) == 0;
}

FILE_ATTEMPT(input_move) {
    _cleanup_free_ char *from = xasprintf("%s/file", yard->read), *to = xasprintf("%s/moved", yard->write);
    return rename(from, to) == 0;
}

ATTEMPT(neighbour_hard_link) {
    _cleanup_free_ char *from = xasprintf("%s/file", yard->beside), *to = xasprintf("%s/hard", yard->write);
    return link(from, to) == 0;
}

/* In its own folder too: the supervisor may read what lies there. */
ATTEMPT(symlink_make) {
    _cleanup_free_ char *path = xasprintf("%s/new", yard->write);
    return symlink("/etc/passwd", path) == 0;
}

ATTEMPT(device_make) {
    _cleanup_free_ char *path = xasprintf("%s/pipe", yard->write);
    return mkfifo(path, 0600) == 0;
}

ATTEMPT(mode_change) {
    _cleanup_free_ char *path = xasprintf("%s/file", yard->read);
    return chmod(path, 0600) == 0;
}

/* By the descriptor too: a file of its own that runs as its owner. */
ATTEMPT(setuid_bit) {
    _cleanup_free_ char *path = xasprintf("%s/file", yard->write);
    _cleanup_close_ int descriptor = open(path, O_RDWR | O_CLOEXEC);
    return descriptor >= 0 && fchmod(descriptor, 04755) == 0;
}

/* ---- other processes ---- */

ATTEMPT(program_run) {
    execl("/bin/sh", "sh", "-c", "exit 11", NULL);
    return false;
}
_Static_assert(ESCAPED == 11, "program_run ends with it");

ATTEMPT(process_fork) {
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return child > 0 && waitpid(child, NULL, 0) == child;
}

ATTEMPT(parent_trace) { return ptrace(PTRACE_SEIZE, yard->parent, NULL, NULL) == 0; }
ATTEMPT(parent_signal) { return kill(yard->parent, SIGWINCH) == 0; }
ATTEMPT(parent_signal_to_thread) { return syscall(SYS_tgkill, yard->parent, yard->parent, SIGWINCH) == 0; }

ATTEMPT(group_signal) { return kill(0, 0) == 0; }

/* The kernel then signals the owner when something can be read. */
ATTEMPT(parent_signal_by_descriptor) {
    int ends[2];
    return pipe(ends) == 0 && (fcntl(ends[0], F_SETOWN, yard->parent) == 0 || ioctl(ends[0], FIOASYNC, &(int){1}) == 0);
}

static bool can_open_of_parent(const struct yard *yard, const char *name) {
    _cleanup_free_ char *directory = xasprintf("/proc/%d", (int)yard->parent);
    return can_open(directory, name, O_RDONLY);
}

FILE_ATTEMPT(parent_memory) { return can_open_of_parent(yard, "mem"); }
FILE_ATTEMPT(parent_environment) { return can_open_of_parent(yard, "environ"); }
FILE_ATTEMPT(parent_command_line) { return can_open_of_parent(yard, "cmdline"); }
FILE_ATTEMPT(parent_descriptors) { return can_open_of_parent(yard, "fd"); }
FILE_ATTEMPT(own_memory_file) { return can_open("/proc/self", "mem", O_RDWR); }

ATTEMPT(parent_memory_read) {
    char bytes[8];
    struct iovec here = {bytes, sizeof bytes}, there = {(void *)(uintptr_t)yard, sizeof bytes};
    return syscall(SYS_process_vm_readv, yard->parent, &here, 1, &there, 1, 0) == sizeof bytes;
}

/* Takes over a descriptor that the parent has open. */
ATTEMPT(parent_descriptor_taken) {
    long process = syscall(434 /* pidfd_open */, yard->parent, 0);
    return process >= 0 && syscall(438 /* pidfd_getfd */, process, yard->secret, 0) >= 0;
}

ATTEMPT(parent_limit) {
    struct rlimit limit;
    return prlimit(yard->parent, RLIMIT_CORE, NULL, &limit) == 0;
}

/* ---- privileges ---- */

static bool status_says(const char *wanted) {
    char line[256];
    bool found = false;
    _cleanup_fclose_ FILE *status = fopen("/proc/self/status", "re");
    while (status && !found && fgets(line, sizeof line, status))
        found = strcmp(line, wanted) == 0;
    return found;
}

/* By a setuid program, if one could be run. */
ATTEMPT_AT(privilege_gain, PART_PRIVILEGES) { return !status_says("NoNewPrivs:\t1\n"); }
ATTEMPT(user_change) { return setresuid(geteuid(), geteuid(), geteuid()) == 0; }
ATTEMPT_AT(capabilities, PART_PRIVILEGES) { return !status_says("CapPrm:\t0000000000000000\n"); }
ATTEMPT(folder_mount) { return mount("none", yard->beside, "tmpfs", 0, NULL) == 0 && umount(yard->beside) == 0; }
ATTEMPT(namespace_make) { return unshare(CLONE_NEWUSER) == 0; }
ATTEMPT(root_change) { return chroot(yard->beside) == 0; }

ATTEMPT(limit_raise) {
    struct rlimit limit;
    return getrlimit(RLIMIT_CORE, &limit) == 0 && setrlimit(RLIMIT_CORE, &limit) == 0;
}

/* ---- doors into the kernel ---- */

ATTEMPT(io_uring) {
    char parameters[256] = {0}; /* more than the 120 bytes that io_uring_setup writes */
    return syscall(425 /* io_uring_setup */, 1, parameters) >= 0;
}
ATTEMPT(userfaultfd) { return syscall(SYS_userfaultfd, O_CLOEXEC) >= 0; }
ATTEMPT(keyctl) { return syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -4 /* of the user */, 1) >= 0; }
ATTEMPT(perf_event) {
    char attributes[128] = {0};
    attributes[0] = 1;  /* a software event, */
    attributes[4] = 64; /* in the first version's layout */
    return syscall(SYS_perf_event_open, attributes, 0, -1, -1, 0) >= 0;
}
ATTEMPT(memory_file) { return memfd_create("mela-test", 0) >= 0; }
ATTEMPT(shared_segment) {
    int segment = (int)syscall(SYS_shmget, 0 /* IPC_PRIVATE */, 4096, 0600);
    return segment >= 0 && syscall(SYS_shmctl, segment, 0 /* IPC_RMID */, NULL) == 0;
}

ATTEMPT(written_memory_run) {
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(memory, 4096, PROT_READ | PROT_EXEC) == 0 ||
           mmap(NULL, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

/* ---- memory ---- */

static bool can_take(int kind) {
    char *memory = mmap(NULL, 2 * LIMIT, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    memory[0] = memory[2 * LIMIT - 1] = 1;
    return munmap(memory, 2 * LIMIT) == 0;
}

static bool memory_in_small_pieces(void) {
    for (int64_t taken = 0; taken < 2 * LIMIT; taken += 1 << 16)
        if (!malloc(1 << 16))
            return false;
    return true;
}

static bool memory_beyond_the_limit(const struct yard *yard) {
    return can_take(MAP_PRIVATE) || can_take(MAP_SHARED) || can_take(MAP_PRIVATE | MAP_GROWSDOWN) ||
           memory_in_small_pieces();
}

static void memory_beyond_the_limit_fails(void **state) {
    if (!LIMIT)
        skip();
    yard_try_within(state, memory_beyond_the_limit, "memory_beyond_the_limit", PART_CALLS, LIMIT);
}

/* ---- what stays possible ---- */

static void *count_up(void *out) {
    atomic_fetch_add((atomic_int *)out, 1);
    return NULL;
}

static bool can_start_threads(void) {
    atomic_int count = 0;
    pthread_t threads[8];
    bool started = true;
    for (size_t i = 0; i < ARRAY_LENGTH(threads) && started; i++)
        started = pthread_create(&threads[i], NULL, count_up, &count) == 0;
    for (size_t i = 0; i < ARRAY_LENGTH(threads) && started; i++)
        pthread_join(threads[i], NULL);
    return started && count == ARRAY_LENGTH(threads);
}

static bool can_work_in_folder(const char *folder) {
    struct error err;
    _cleanup_free_ char *made = xasprintf("%s/a/b", folder), *file = xasprintf("%s/file", made);
    _cleanup_free_ char *moved = xasprintf("%s/moved", folder), *tree = xasprintf("%s/a", folder);
    if (!directory_make(made, &err) || !file_write_atomic(file, "text", 4, 0644, &err) || rename(file, moved) != 0)
        return false;
    tree_remove(tree);
    return access(tree, F_OK) != 0 && can_open(folder, "moved", O_RDWR | O_TRUNC) && unlink(moved) == 0;
}

/* The C library opens files when it is first asked for these. */
static bool can_use_libraries(void) {
    iconv_t conversion = iconv_open("UTF-16", "ISO-8859-15");
    time_t now = time(NULL);
    struct tm local;
    bool converted = conversion != (iconv_t)-1 && iconv_close(conversion) == 0;
    return converted && localtime_r(&now, &local) && sysconf(_SC_NPROCESSORS_CONF) > 0 && sysconf(_SC_PHYS_PAGES) > 0;
}

static bool can_talk(int way) {
    char byte = 'a';
    return send(way, &byte, 1, 0) == 1 && recv(way, &byte, 1, 0) == 1 && byte == 'b' && write(way, "c", 1) == 1;
}

static int done_inside(const struct yard *yard, int way) {
    struct fence_report held;
    const struct {
        const char *what;
        bool done;
    } steps[] = {{"raise", yard_raise(yard, LIMIT, &held)},
                 {"talk over the socket it has", can_talk(way)},
                 {"read", can_open(yard->read, "file", O_RDONLY)},
                 {"list", can_open(yard->read, "", O_RDONLY | O_DIRECTORY)},
                 {"work in its folder", can_work_in_folder(yard->write)},
                 {"start threads", can_start_threads()},
                 {"use libraries", can_use_libraries()},
                 {"signal itself", kill(getpid(), 0) == 0 && raise(SIGWINCH) == 0},
                 {"say on stderr", write(STDERR_FILENO, "", 0) == 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++)
        if (!steps[i].done) {
            fprintf(stderr, "behind the fence it cannot %s\n", steps[i].what);
            return 1;
        }
    return 0;
}

static void its_own_work_goes_on(void **state) {
    int ends[2], status;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(done_inside(*state, ends[1]));
    char byte;
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(write(ends[0], "b", 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ends[0]);
}

/* ---- threads that were there before ---- */

struct early_thread {
    const struct yard *yard;
    bool deaf; /* blocks all signals */
    atomic_bool begun, go;
    bool read, connected;
};

static void *early_run(void *context) {
    struct early_thread *thread = context;
    sigset_t all;
    sigfillset(&all);
    if (thread->deaf)
        pthread_sigmask(SIG_BLOCK, &all, NULL);
    atomic_store(&thread->begun, true);
    while (!atomic_load(&thread->go))
        usleep(1000);
    thread->read = neighbour_read(thread->yard);
    thread->connected = tcp_connect(thread->yard);
    return NULL;
}

/* In a child: how it ends says whether the thread was held as it should be. */
static int early_child(const struct yard *yard, bool deaf) {
    struct early_thread early = {.yard = yard, .deaf = deaf};
    struct fence_report held;
    pthread_t thread;
    if (pthread_create(&thread, NULL, early_run, &early) != 0)
        return NOT_RAISED;
    while (!atomic_load(&early.begun))
        usleep(1000);
    if (!yard_raise(yard, 0, &held))
        return NOT_RAISED;
    atomic_store(&early.go, true);
    pthread_join(thread, NULL);
    bool read_held = held.files && !deaf ? !early.read : true;
    return held.threads_outside == deaf && read_held && (!held.system_calls || !early.connected) ? HELD : ESCAPED;
}

static void early_try(const struct yard *yard, bool deaf) {
#ifdef __SANITIZE_THREAD__
    skip(); /* it keeps signals back until a thread makes its next call */
#endif
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(early_child(yard, deaf));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), HELD);
}

static void threads_there_before_are_inside(void **state) { early_try(*state, false); }
static void threads_that_do_not_answer_are_counted(void **state) { early_try(*state, true); }

/* ---- what it says ---- */

static int report_child(const struct yard *yard) {
    struct fence_report probed, held;
    fence_probe(&probed);
    if (!yard_raise(yard, 0, &held))
        return NOT_RAISED;
    held.threads_outside = 0; /* ThreadSanitizer has a thread of its own */
    _cleanup_free_ char *before = fence_describe(&probed), *after = fence_describe(&held);
    return strcmp(before, after) == 0 ? HELD : ESCAPED;
}

static void probe_says_what_will_hold(void **state) {
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(report_child(*state));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), HELD);
}

static void report_names_what_is_missing(void **state) {
    struct fence_report held = {.privileges = true, .system_calls = true, .landlock = 1, .files = true};
    _cleanup_free_ char *text = fence_describe(&held);
    _cleanup_json_ json_t *json = fence_report_json(&held);
    assert_string_equal(text, "holds: no new privileges, system calls (seccomp), files (Landlock); missing: truncation "
                              "(Landlock 3), TCP (Landlock 4), devices (Landlock 5), signals and abstract sockets "
                              "(Landlock 6)");
    assert_false(json_get_bool(json, "complete", true));
    assert_true(json_get_bool(json, "files", false));
    assert_int_equal(json_get_integer(json, "landlock", 0), 1);
    assert_int_equal(json_array_size(json_object_get(json, "missing")), 4);
}

static bool raise_without_a_path(const struct yard *yard) {
    const char *read[] = {"/nonexistent/folder"};
    struct fence fence = {.read = read, .read_count = 1};
    struct fence_report held;
    struct error err = {0};
    return !fence_raise(&fence, &held, &err) && err.code == ERR_IO && strstr(err.message, read[0]);
}

static void path_that_is_missing_is_named(void **state) {
    if (!part_is_here(PART_FILES))
        skip();
    assert_int_equal(yard_child(*state, raise_without_a_path, false, 0), ESCAPED);
}

#define YARD_TEST(function) cmocka_unit_test_setup_teardown(function, yard_setup, yard_teardown)

int main(void) {
    signal(SIGWINCH, SIG_IGN);
    const struct CMUnitTest tests[] = {
        ATTEMPT_TEST(tcp_connect),
        ATTEMPT_TEST(unix_path_connect),
        ATTEMPT_TEST(abstract_connect),
        ATTEMPT_TEST(socket_making),
        ATTEMPT_TEST(passwd_read),
        ATTEMPT_TEST(root_list),
        ATTEMPT_TEST(neighbour_read),
        ATTEMPT_TEST(neighbour_read_by_dots),
        ATTEMPT_TEST(link_followed),
        ATTEMPT_TEST(input_write),
        ATTEMPT_TEST(input_create),
        ATTEMPT_TEST(outside_create),
        ATTEMPT_TEST(input_truncate),
        ATTEMPT_TEST(input_remove),
        ATTEMPT_TEST(input_move),
        ATTEMPT_TEST(neighbour_hard_link),
        ATTEMPT_TEST(symlink_make),
        ATTEMPT_TEST(device_make),
        ATTEMPT_TEST(mode_change),
        ATTEMPT_TEST(setuid_bit),
        ATTEMPT_TEST(program_run),
        ATTEMPT_TEST(process_fork),
        ATTEMPT_TEST(parent_trace),
        ATTEMPT_TEST(parent_signal),
        ATTEMPT_TEST(parent_signal_to_thread),
        ATTEMPT_TEST(group_signal),
        ATTEMPT_TEST(parent_signal_by_descriptor),
        ATTEMPT_TEST(parent_memory),
        ATTEMPT_TEST(parent_environment),
        ATTEMPT_TEST(parent_command_line),
        ATTEMPT_TEST(parent_descriptors),
        ATTEMPT_TEST(own_memory_file),
        ATTEMPT_TEST(parent_memory_read),
        ATTEMPT_TEST(parent_descriptor_taken),
        ATTEMPT_TEST(parent_limit),
        ATTEMPT_TEST(privilege_gain),
        ATTEMPT_TEST(user_change),
        ATTEMPT_TEST(capabilities),
        ATTEMPT_TEST(folder_mount),
        ATTEMPT_TEST(namespace_make),
        ATTEMPT_TEST(root_change),
        ATTEMPT_TEST(limit_raise),
        ATTEMPT_TEST(io_uring),
        ATTEMPT_TEST(userfaultfd),
        ATTEMPT_TEST(keyctl),
        ATTEMPT_TEST(perf_event),
        ATTEMPT_TEST(memory_file),
        ATTEMPT_TEST(shared_segment),
        ATTEMPT_TEST(written_memory_run),
        YARD_TEST(memory_beyond_the_limit_fails),
        YARD_TEST(its_own_work_goes_on),
        YARD_TEST(threads_there_before_are_inside),
        YARD_TEST(threads_that_do_not_answer_are_counted),
        YARD_TEST(probe_says_what_will_hold),
        YARD_TEST(path_that_is_missing_is_named),
        cmocka_unit_test(report_names_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
