#include "executor/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Numbers and bits of linux/landlock.h as of Linux 6.12, which Debian 12's header (6.1) lacks in part. */
enum { CALL_CREATE = 444, CALL_ADD = 445, CALL_RESTRICT = 446 };
#define FILES_OF_1 ((1ULL << 13) - 1) /* all from LANDLOCK_ACCESS_FS_EXECUTE to _MAKE_SYM */
#define ACCESS_TRUNCATE (1ULL << 14)
#define ACCESS_IOCTL (1ULL << 15)
#define NETWORK_TCP 3ULL      /* bind, connect */
#define SCOPE_OF_PROCESS 3ULL /* abstract sockets, signals */

/* struct landlock_ruleset_attr as of Landlock 6. An older kernel takes it while what it does not know is 0. */
struct rule_set {
    uint64_t files, network, scopes;
};

#define RIGHTS_READ ((uint64_t)(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR))
#define RIGHTS_WRITE                                                                                                   \
    (RIGHTS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE | LANDLOCK_ACCESS_FS_REMOVE_FILE |                  \
     LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                       \
     LANDLOCK_ACCESS_FS_REFER)
#define RIGHTS_DEVICE (RIGHTS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_IOCTL)
/* What makes sense for a file; the kernel refuses a rule that gives a file a folder's right. */
#define RIGHTS_OF_FILES                                                                                                \
    ((uint64_t)(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |            \
                ACCESS_TRUNCATE | ACCESS_IOCTL))

/* What libraries open long after they were loaded, found by strace of a dub and in their sources: the dynamic linker
 * (FFmpeg and ONNX Runtime load libraries late), glibc's iconv, time zones and malloc, OpenSSL's settings, libnuma's
 * and ONNX Runtime's look at the processors, and graph_cache_key. /proc/self is this process alone. */
static const char *const system_reads[] = {"/usr",
                                           "/lib",
                                           "/lib64",
                                           "/etc/ld.so.cache",
                                           "/etc/localtime",
                                           "/etc/ssl/openssl.cnf",
                                           "/proc/self",
                                           "/proc/cpuinfo",
                                           "/proc/meminfo",
                                           "/proc/stat",
                                           "/proc/sys/vm/overcommit_memory",
                                           "/sys/devices/system/cpu",
                                           "/sys/devices/system/node",
                                           "/sys/bus/pci/devices",
                                           "/sys/class/drm",
                                           "/sys/class/accel",
                                           "/dev/urandom",
                                           "/dev/zero"};
/* NVIDIA's driver looks for its cards and its own settings; the files are those that gVisor's nvproxy and NVIDIA's
 * container toolkit give a container. */
static const char *const card_reads[] = {"/proc/driver/nvidia", "/proc/devices", "/proc/modules", "/sys",
                                         "/etc/nvidia"};
/* ONNX Runtime looks for cards there whenever it starts, and warns when it may not. */
static const char system_cards[] = "/sys/devices/pci*";
static const char *const card_devices[] = {"/dev/nvidia*", "/dev/nvidia-caps/*", "/dev/shm"};

int landlock_version(void) {
    long version = syscall(CALL_CREATE, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version > 0 ? (int)version : 0;
}

void landlock_note(int version, struct fence_report *held) {
    held->landlock = version;
    held->files = version >= 1;
    held->truncation = version >= 3;
    held->network = version >= 4;
    held->devices = version >= 5;
    held->others = version >= 6;
}

static struct rule_set landlock_handled(int version) {
    return (struct rule_set){.files = FILES_OF_1 | (version >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0) |
                                      (version >= 3 ? ACCESS_TRUNCATE : 0) | (version >= 5 ? ACCESS_IOCTL : 0),
                             .network = version >= 4 ? NETWORK_TCP : 0,
                             .scopes = version >= 6 ? SCOPE_OF_PROCESS : 0};
}

/* One rule is about an inode. Those of /proc are made anew when the kernel has forgotten them, and the rule would then
 * be about none: they stay open, with O_PATH, which reads nothing. */
static bool landlock_path_stays_open(const char *path) { return strncmp(path, "/proc/", 6) == 0; }

/* A path that is not there is passed over, unless the caller named it. */
static bool landlock_allow(int rules, const char *path, uint64_t rights, bool required, struct error *err) {
    struct stat info;
    int place = open(path, O_PATH | O_CLOEXEC);
    if (place < 0)
        return !required || error_set_errno(err, ERR_IO, errno, "cannot use %s", path);
    bool known = fstat(place, &info) == 0;
    if (known && !S_ISDIR(info.st_mode))
        rights &= RIGHTS_OF_FILES;
    struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = place};
    bool done = known && syscall(CALL_ADD, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    if (!done)
        error_set_errno(err, ERR_INTERNAL, errno, "Landlock takes no rule for %s", path);
    if (!landlock_path_stays_open(path))
        close(place);
    return done;
}

static bool landlock_allow_pattern(int rules, const char *pattern, uint64_t rights, struct error *err) {
    glob_t found;
    bool done = true;
    if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
        return true;
    for (size_t i = 0; i < found.gl_pathc && done; i++)
        done = landlock_allow(rules, found.gl_pathv[i], rights, false, err);
    globfree(&found);
    return done;
}

static bool landlock_allow_all(int rules, const char *const *paths, size_t count, uint64_t rights, bool required,
                               struct error *err) {
    bool done = true;
    for (size_t i = 0; i < count && done; i++)
        done = landlock_allow(rules, paths[i], rights, required, err);
    return done;
}

static bool landlock_allow_card(int rules, uint64_t handled, struct error *err) {
    bool done = landlock_allow_all(rules, card_reads, ARRAY_LENGTH(card_reads), RIGHTS_READ & handled, false, err);
    for (size_t i = 0; i < ARRAY_LENGTH(card_devices) && done; i++)
        done = landlock_allow_pattern(rules, card_devices[i], RIGHTS_DEVICE & handled, err);
    return done;
}

static bool landlock_fill(int rules, const struct fence *fence, uint64_t handled, struct error *err) {
    uint64_t reading = RIGHTS_READ & handled, writing = RIGHTS_WRITE & handled;
    return landlock_allow_all(rules, system_reads, ARRAY_LENGTH(system_reads), reading, false, err) &&
           landlock_allow_pattern(rules, system_cards, reading, err) &&
           landlock_allow(rules, "/dev/null", reading | LANDLOCK_ACCESS_FS_WRITE_FILE, false, err) &&
           landlock_allow_all(rules, fence->read, fence->read_count, reading, true, err) &&
           landlock_allow_all(rules, fence->write, fence->write_count, writing, true, err) &&
           (!fence->card || landlock_allow_card(rules, handled, err));
}

int landlock_rules(const struct fence *fence, int version, struct error *err) {
    struct rule_set handled = landlock_handled(version);
    int rules = (int)syscall(CALL_CREATE, &handled, sizeof handled, 0);
    if (rules < 0)
        error_set_errno(err, ERR_INTERNAL, errno, "Landlock makes no rules");
    else if (landlock_fill(rules, fence, handled.files, err))
        return rules;
    else
        close(rules);
    return -1;
}

bool landlock_enter(int rules) { return syscall(CALL_RESTRICT, rules, 0) == 0; }
