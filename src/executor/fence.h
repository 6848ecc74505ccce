/* The fence: what a process that decodes hostile media gives up, for good, before it opens a user's file. It holds
 * against whoever has taken over a decoder and runs code of their own here; docs/architecture.md says what it keeps
 * from them and what it does not. It does not close descriptors that are open: child_start gives a process only those
 * that it is meant to have. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/json.h"

struct fence {
    /* Files, and folders with all below them, that stay readable; they must be there. Besides these, what libraries
     * need at run time stays readable by itself (libraries below /usr and /lib, a few files of /etc, /proc and /sys).
     * With a card, the folder of ONNX Runtime's CUDA provider must be among them when it is elsewhere. */
    const char *const *read;
    size_t read_count;
    /* Folders in which files and folders may be made, changed, moved and removed; no links, sockets or devices. */
    const char *const *write;
    size_t write_count;
    int64_t memory_bytes; /* of memory of its own that the process may write; 0: no limit. With a card there is none */
    bool card;            /* this process computes on an NVIDIA card */
};

/* What holds. A kernel too old for a part, or a sandbox around this one that forbids it, leaves that part out. */
struct fence_report {
    bool privileges;     /* can no longer gain any, such as by a setuid program, and has given up its capabilities */
    bool system_calls;   /* only those on the list (seccomp) */
    int landlock;        /* version of Landlock's interface; 0: none */
    bool files;          /* opens only what it was given (Landlock 1) */
    bool truncation;     /* nor truncates another file by its name (Landlock 3) */
    bool network;        /* no TCP (Landlock 4), whatever the list says */
    bool devices;        /* no ioctl on a device (Landlock 5), whatever the list says */
    bool others;         /* no signal to another process, no abstract socket (Landlock 6), whatever the list says */
    int threads_outside; /* threads that were there before and did not answer: of those only system_calls is sure */
};

/* Raises it, for all threads of the process: those that are there already too, though the fewer the better. Child
 * processes could not be started any more, and new threads are inside. Cannot be undone, and is done once. What the
 * machine cannot do is told by *held and no error. False with io (a path that is not there) or internal: the process
 * may then have given up a part, and must end. */
bool fence_raise(const struct fence *fence, struct fence_report *held, struct error *err) must_check;
/* What a fence could hold on this machine. Changes nothing. */
void fence_probe(struct fence_report *held);
/* {"complete","missing":[text...],"landlock","privileges","system_calls","files",...}. New reference. */
json_t *fence_report_json(const struct fence_report *held);
/* One line for people: what holds, and what not. The caller frees it. */
char *fence_describe(const struct fence_report *held);
