#include "cli/operations/service.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>

int service_signals(struct error *err) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int descriptor = signalfd(-1, &set, SFD_CLOEXEC);
    if (descriptor < 0)
        error_set_errno(err, ERR_INTERNAL, errno, "cannot watch for signals");
    return descriptor;
}

void service_wait(int signals) {
    struct signalfd_siginfo info = {.ssi_signo = SIGCHLD};
    while (info.ssi_signo == SIGCHLD)
        if (read(signals, &info, sizeof info) < 0 && errno != EINTR)
            return;
}
