/* The wire between a worker's supervisor and one of its executors: a pair of connected sockets, over which each sends
 * JSON objects, each behind its length as four bytes, most significant first. This header is the whole grammar.
 *
 * To the executor:
 *   {"type":"job", "job":"film/hi/dub/0007", "attempt":1, "scratch":"/work/...", "inputs":{"video":"/work/...",...},
 *    "spec":{...}, "plan":{...}}    one at a time. spec and plan only when the executor does not have them: a spec puts
 *                                   away the one before, and its plan
 *   {"type":"enter"}                the device is free: the job may compute
 *   {"type":"stop"}                 the job is to stop
 * From the executor:
 *   {"type":"ready", "device":"cuda"}     its networks are loaded, on a card or the "cpu"
 *   {"type":"enter"}                the job asks for the device
 *   {"type":"leave"}                the job needs the device no more
 *   {"type":"progress", "frames":120, "of":240, "step":"lips"}
 *   {"type":"done", "report":{...}}
 *   {"type":"failed", "code":"media.corrupt", "message":"..."}    the job; before "ready", the executor itself
 * The executor ends when the wire does. Neither end trusts what it reads: a message that is too long, is no JSON or
 * comes out of turn ends the wire. */
#pragma once

#include "base/buffer.h"
#include "base/json.h"

#define WIRE_VARIABLE "MELA_WIRE" /* the environment's variable that names an executor's end, a descriptor */

enum {
    WIRE_TO_EXECUTOR_MAX = 64 << 20,  /* bytes of a message: a plan's size is bounded by this too */
    WIRE_FROM_EXECUTOR_MAX = 1 << 20, /* a report lists the frames without a face, run by run: 60 kB at the most */
};

/* One end. Not locked; but one thread may read (`in`) while another one sends (`out`, `ended`). */
struct wire {
    int socket;        /* owned; blocking or not */
    size_t longest;    /* of a message that arrives */
    struct buffer in;  /* what has arrived of messages not yet read */
    struct buffer out; /* what the socket did not take yet */
    bool ended;        /* nothing can be sent any more: the other end is gone */
};

void wire_close(struct wire *wire);
/* Sends a message, or as much of it as a socket that does not block takes now; wire_flush sends the rest. io when the
 * other end is gone, which `ended` then says. */
bool wire_send(struct wire *wire, const json_t *message, struct error *err) must_check;
/* False, with io, as wire_send. wire->out is empty when all is sent. */
bool wire_flush(struct wire *wire, struct error *err) must_check;
/* Reads once from the socket, to be called when it is readable. False when the other end is gone. */
bool wire_read(struct wire *wire);
/* The next message that has arrived whole: *message is a new reference, or NULL when there is none yet. internal when
 * what came is no message. */
bool wire_next(struct wire *wire, json_t **message, struct error *err) must_check;
