/* The part of the fence that the kernel calls Landlock: which files a thread may open, and whom it may reach. The
 * system calls are made by number and the newer constants are repeated here, since Debian 12's headers are older than
 * the kernels that mela meets. */
#pragma once

#include "executor/fence.h"

/* The version of the kernel's Landlock; 0 when it has none, or when a sandbox hides it. */
int landlock_version(void);
/* Notes in *held what a Landlock of this version holds. */
void landlock_note(int version, struct fence_report *held);
/* A set of rules for landlock_enter that allows what `fence` does; the caller closes it. -1 with io when a path is not
 * there, or internal. */
int landlock_rules(const struct fence *fence, int version, struct error *err) must_check;
/* Puts the calling thread, and all that it will start, under the rules. The thread must not be able to gain privileges.
 * Async-signal-safe. False with errno. */
bool landlock_enter(int rules) must_check;
