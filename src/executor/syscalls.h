/* The part of the fence that the kernel calls seccomp: which system calls there are at all. */
#pragma once

#include "executor/fence.h"

/* Whether this kernel, and a sandbox around this process, let a process have a filter. */
bool syscalls_can_be_filtered(void);
/* From now on, in all threads, a system call that is not on the list fails with EPERM, and one younger than the list
 * with ENOSYS, so that libraries fall back. The process must not be able to gain privileges. False with internal. */
bool syscalls_restrict(bool card, struct error *err) must_check;
