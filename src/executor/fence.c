#include "executor/fence.h"

#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "executor/landlock.h"
#include "executor/syscalls.h"

enum {
    DESCRIPTORS_MAX = 1024,
    ANSWER_MS = 1000, /* for a thread to answer; it does when it runs next, unless it blocks all signals */
};

/* ---- what each thread gives up for itself ---- */

/* Rules for landlock_enter, -1 without Landlock. Written before the first signal is sent, and not after: whoever
 * answers late still reads it. The descriptor stays open for that reason when somebody has not answered. */
static int fence_rules = -1;
/* How many other threads are inside. A lone counter: it is only compared with how many were asked. */
static atomic_int fence_answers;

/* A process of root's has them; an executor needs none. */
static bool capabilities_drop(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    return syscall(SYS_capset, &header, none) == 0;
}

/* In a signal's handler: async-signal-safe calls alone. */
static bool fence_enter(void) {
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && capabilities_drop() &&
           (fence_rules < 0 || landlock_enter(fence_rules));
}

static void fence_answer(int signal_number) {
    int saved = errno;
    if (fence_enter())
        atomic_fetch_add(&fence_answers, 1);
    errno = saved;
}

/* seccomp can be told to reach all threads of a process, the rest holds for the thread that asks. So each thread is
 * sent a signal whose handler asks for it. The handler stays, for who answers late. */
static int fence_signal(void) {
    int number = SIGRTMAX - 3;
    struct sigaction action = {.sa_handler = fence_answer, .sa_flags = SA_RESTART};
    sigfillset(&action.sa_mask);
    return sigaction(number, &action, NULL) == 0 ? number : -1;
}

static bool fence_await(int wanted) {
    const struct clock *clock = clock_system();
    int64_t until = clock_monotonic_ms(clock) + ANSWER_MS;
    while (atomic_load(&fence_answers) < wanted && clock_monotonic_ms(clock) < until)
        clock_sleep_ms(clock, 1);
    return atomic_load(&fence_answers) >= wanted;
}

/* Threads that were asked, by their ids. */
struct thread_list {
    pid_t *ids;
    size_t count;
};

static bool thread_list_add(struct thread_list *list, pid_t id) {
    for (size_t i = 0; i < list->count; i++)
        if (list->ids[i] == id)
            return false;
    list->ids = xreallocarray(list->ids, list->count + 1, sizeof *list->ids);
    list->ids[list->count++] = id;
    return true;
}

/* Asks every other thread that was not asked yet; returns how many those were. */
static int fence_ask_threads(struct thread_list *asked, int signal_number, struct fence_report *held) {
    int fresh = 0;
    const struct dirent *entry;
    _cleanup_closedir_ DIR *tasks = opendir("/proc/self/task");
    while (tasks && (entry = readdir(tasks))) {
        pid_t id = (pid_t)strtol(entry->d_name, NULL, 10);
        if (id <= 0 || id == gettid() || !thread_list_add(asked, id))
            continue;
        int before = atomic_load(&fence_answers);
        fresh++;
        if (syscall(SYS_tgkill, getpid(), id, signal_number) == 0 && !fence_await(before + 1))
            held->threads_outside++;
    }
    return fresh;
}

/* Again until there is no new one: a thread outside may start another meanwhile. */
static void fence_enter_threads(struct fence_report *held) {
    struct thread_list asked = {0};
    int signal_number = fence_signal();
    while (signal_number >= 0 && fence_ask_threads(&asked, signal_number, held) > 0)
        ;
    free(asked.ids);
}

/* ---- what the process gives up ---- */

static bool fence_limit(int resource, int64_t most, const char *what, struct error *err) {
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0)
        return error_set_errno(err, ERR_INTERNAL, errno, "cannot limit %s", what);
    limit.rlim_max = MIN(limit.rlim_max, (rlim_t)most);
    limit.rlim_cur = MIN(limit.rlim_cur, limit.rlim_max);
    return setrlimit(resource, &limit) == 0 || error_set_errno(err, ERR_INTERNAL, errno, "cannot limit %s", what);
}

/* RLIMIT_DATA counts private memory that may be written. RLIMIT_AS would count what is merely reserved too, such as 64
 * MB for each thread's malloc; and a card reserves as much as it has. The number of threads has no limit of its own:
 * RLIMIT_NPROC counts all processes of the user, other executors' threads among them. */
static bool fence_limit_all(const struct fence *fence, struct error *err) {
    return fence_limit(RLIMIT_CORE, 0, "core files", err) &&
           fence_limit(RLIMIT_NOFILE, DESCRIPTORS_MAX, "open files", err) &&
           (fence->card || fence->memory_bytes <= 0 || fence_limit(RLIMIT_DATA, fence->memory_bytes, "memory", err));
}

static bool fence_raise_landlock(const struct fence *fence, struct fence_report *held, struct error *err) {
    int version = landlock_version();
    if (version > 0 && (fence_rules = landlock_rules(fence, version, err)) < 0)
        return false;
    fence_enter_threads(held);
    if (!fence_enter())
        return error_set_errno(err, ERR_INTERNAL, errno, "cannot give up privileges and files");
    held->privileges = true;
    landlock_note(version, held);
    if (fence_rules >= 0 && held->threads_outside == 0)
        close(fence_rules);
    return true;
}

bool fence_raise(const struct fence *fence, struct fence_report *held, struct error *err) {
    *held = (struct fence_report){0};
    /* Not dumpable: no other process of this user may look into this one's memory or trace it. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return error_set_errno(err, ERR_INTERNAL, errno, "cannot hide from other processes");
    if (!fence_limit_all(fence, err) || !fence_raise_landlock(fence, held, err))
        return false;
    if (!syscalls_can_be_filtered())
        return true;
    held->system_calls = syscalls_restrict(fence->card, err);
    return held->system_calls;
}

/* ---- what it holds ---- */

void fence_probe(struct fence_report *held) {
    *held = (struct fence_report){.privileges = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) >= 0,
                                  .system_calls = syscalls_can_be_filtered()};
    landlock_note(landlock_version(), held);
}

struct fence_part {
    bool holds;
    const char *name, *text;
};

enum { PARTS = 7 };

static void fence_parts(const struct fence_report *held, struct fence_part parts[PARTS]) {
    const struct fence_part all[PARTS] = {{held->privileges, "privileges", "no new privileges"},
                                          {held->system_calls, "system_calls", "system calls (seccomp)"},
                                          {held->files, "files", "files (Landlock)"},
                                          {held->truncation, "truncation", "truncation (Landlock 3)"},
                                          {held->network, "network", "TCP (Landlock 4)"},
                                          {held->devices, "devices", "devices (Landlock 5)"},
                                          {held->others, "others", "signals and abstract sockets (Landlock 6)"}};
    memcpy(parts, all, sizeof all);
}

json_t *fence_report_json(const struct fence_report *held) {
    struct fence_part parts[PARTS];
    fence_parts(held, parts);
    json_t *json = json_object(), *missing = json_array();
    for (int i = 0; i < PARTS; i++) {
        json_object_set_new(json, parts[i].name, json_boolean(parts[i].holds));
        if (!parts[i].holds)
            json_array_append_new(missing, json_string(parts[i].text));
    }
    json_object_set_new(json, "landlock", json_integer(held->landlock));
    json_object_set_new(json, "threads_outside", json_integer(held->threads_outside));
    json_object_set_new(json, "complete", json_boolean(json_array_size(missing) == 0 && held->threads_outside == 0));
    json_object_set_new(json, "missing", missing);
    return json;
}

static void fence_list(const struct fence_part parts[PARTS], bool holding, struct buffer *text) {
    const char *before = "";
    for (int i = 0; i < PARTS; i++)
        if (parts[i].holds == holding) {
            buffer_appendf(text, "%s%s", before, parts[i].text);
            before = ", ";
        }
    if (!before[0])
        buffer_append_text(text, "nothing");
}

char *fence_describe(const struct fence_report *held) {
    struct fence_part parts[PARTS];
    struct buffer text = {0};
    fence_parts(held, parts);
    buffer_append_text(&text, "holds: ");
    fence_list(parts, true, &text);
    buffer_append_text(&text, "; missing: ");
    fence_list(parts, false, &text);
    if (held->threads_outside)
        buffer_appendf(&text, "; %d threads are outside", held->threads_outside);
    return buffer_steal(&text);
}
