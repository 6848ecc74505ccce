/* The lease protocol of one job, as a model for spin (docs/queue.md, "Promises" 2, 3, 4 and 8).
 *
 * Mirrors: lib/lanes.lua (claim_next), heartbeat.lua, lib/expiry.lua, lib/publish.lua, release.lua, fail.lua and
 * crash.lua while the job lives on, lib/job.lua (fence, stamp_claim), adopt.lua with recover.c, and a worker's upload and
 * receipt (recover/receipt.c). One script is one
 * atomic step. Workers stall anywhere, as long as they like. Redis loses its last second: it goes back to any state that
 * it had since it was saved last, which is modelled by one saved state that every step may renew; or it loses everything
 * and is rebuilt from the store.
 *
 * Claimed: whatever happens, an object in the store is written once (no_overwrite); what Redis publishes was written
 * whole (whole); whatever Redis loses, a job has one artifact (one); only the claim that nothing has ended publishes
 * (owner); while Redis loses nothing in between, the job is published once (once); and the job is done in the end,
 * whatever the others do, while one worker goes on (progress, under weak fairness).
 *
 * Faults that the claims must find, one a -D: NO_FENCE (finish checks the state only), ATTEMPT_ONLY (the stamp is the
 * bare attempt), NO_EXPIRY (a silent worker keeps its lease), LOSE_JOB (release forgets to put the job back),
 * BLIND_RECOVER (recover submits what Redis knows), EARLY_RECEIPT (the receipt is written before the upload), LATE_RECEIPT
 * (it is written after the publication, as it once was). */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef CLAIMS_MAX
#define CLAIMS_MAX 4 /* of one run; bounds the state space */
#endif

mtype = { none, ready, leased, done };

/* Redis: the job's record. */
mtype state = ready;
byte attempt = 0, holder = 0, stamp = 0, published = 0;
bool known = true; /* false: Redis has lost everything */

/* Redis as its disk has it. */
mtype saved_state = ready;
byte saved_attempt = 0, saved_holder = 0, saved_stamp = 0, saved_published = 0;
bool saved_known = true;

/* The store: how often the object of a stamp was written, by whom, and whether it is whole; the receipt. */
byte writes[CLAIMS_MAX + 2], receipt = 0;
bool whole[CLAIMS_MAX + 2];

byte artifact = 0;       /* what was published first, which others may have read since */
byte clock_ticks = 0;    /* what makes stamps differ: Redis' time, which no loss turns back */
byte losses = 0, publications = 0;
bool lost_since = false; /* Redis lost something since the last publication */
byte owner = 0, saved_owner = 0; /* the claim, by its tick, that nothing has ended: what fencing has to find out */

inline make_stamp() {
    clock_ticks++; owner = clock_ticks; my_claim = clock_ticks;
#ifdef ATTEMPT_ONLY
    stamp = attempt;
#else
    stamp = clock_ticks;
#endif
}

/* The disk follows, sooner or later. */
inline save() {
    saved_state = state; saved_attempt = attempt; saved_holder = holder; saved_stamp = stamp;
    saved_published = published; saved_known = known; saved_owner = owner
}

inline maybe_save() {
    if
    :: save()
    :: skip
    fi
}

inline publish(what) {
    assert(whole[what]);
    assert(owner == my_claim);
    publications++;
    assert(publications == 1 || lost_since);
    lost_since = false;
    assert(artifact == 0 || artifact == what);
    artifact = what;
    published = what;
    state = done;
    owner = 0;
}

/* The job goes back, fenced: released, refused, or its process died and the worker says so. How long it is delayed and
 * what is counted makes no difference here. */
inline give_back() {
    if
    :: known && state == leased && holder == me && stamp == mine ->
#ifdef LOSE_JOB
        state = none;
#else
        state = ready;
#endif
        owner = 0; maybe_save()
    :: else -> skip
    fi
}

proctype worker(byte me) {
    byte mine, my_claim;
end:
    do
    :: atomic { /* claim.lua */
        known && state == ready && clock_ticks < CLAIMS_MAX ->
        attempt++; holder = me; make_stamp(); mine = stamp; state = leased; maybe_save() }

#ifdef EARLY_RECEIPT
        if
        :: receipt == 0 -> receipt = mine
        :: else -> skip
        fi;
#endif
        if
        :: me > 1 -> goto gone /* killed; the first worker only stalls */
        :: true -> skip
        fi;
        /* The upload: begun here, ended there; a stall may lie between. */
        atomic { writes[mine]++; assert(writes[mine] == 1) }
        if
        :: atomic { true -> give_back(); goto refused } /* half written: crash.lua, or fail.lua */
        :: true -> skip
        fi;
        atomic { whole[mine] = true }

        if
        :: true -> atomic { /* heartbeat.lua renews, which changes nothing here: expiry is free to come later */
            if
            :: known && state == leased && holder == me && stamp == mine -> skip
            :: else -> goto refused
            fi }
        :: true -> skip
        fi;

#ifndef LATE_RECEIPT
        atomic { /* the receipt: if absent; else what the other one's says is published */
            if
            :: receipt == 0 -> receipt = mine
            :: else -> skip
            fi }
#endif
        if
        :: true -> atomic { /* finish.lua: fenced */
            if
#ifdef NO_FENCE
            :: known && state != done ->
#else
            :: known && state == leased && holder == me && stamp == mine ->
#endif
#ifdef LATE_RECEIPT
                publish(mine); maybe_save()
#else
                publish(receipt); maybe_save()
#endif
            :: else -> goto refused
            fi }
#ifdef LATE_RECEIPT
            atomic {
                if
                :: receipt == 0 -> receipt = mine
                :: else -> skip
                fi }
#endif
        :: true -> atomic { give_back() } /* release.lua */
        fi
refused:
        mine = 0
    od;
gone:
    skip
}

/* Whoever claims or sweeps first. That a lease may run out at any time is what a stalling worker comes to. */
active proctype sweeper() {
end:
    do
    :: atomic {
#ifdef NO_EXPIRY
        false ->
#endif
        known && state == leased -> state = ready; owner = 0; maybe_save() }
    od
}

/* A crash of Redis, or its loss. */
active proctype trouble() {
end:
    do
    :: atomic { losses < LOSSES ->
        losses++; lost_since = true;
        if
        :: state = saved_state; attempt = saved_attempt; holder = saved_holder; stamp = saved_stamp;
           published = saved_published; known = saved_known; owner = saved_owner
        :: state = none; attempt = 0; holder = 0; stamp = 0; published = 0; known = false; owner = 0; save()
        fi }
    :: break /* it need not happen */
    od
}

/* Time goes on, also when nobody can do anything. */
active proctype idle() {
    do
    :: true -> skip
    od
}

/* mela recover: at any time, as often as it likes. */
active proctype recover() {
    byte mine, my_claim;
end:
    do
#ifdef BLIND_RECOVER
    :: atomic { true -> known = true;
#else
    :: atomic { !known -> known = true;
#endif
        state = ready; maybe_save() } /* submit.lua, known spec */
    :: atomic { /* adopt.lua takes the job also from a worker that holds it */
        known && receipt != 0 && (state == ready || state == leased) && clock_ticks < CLAIMS_MAX ->
        attempt++; holder = WORKERS + 1; make_stamp(); mine = stamp; state = leased; maybe_save() }
        atomic { /* finish.lua with what the receipt names */
            if
            :: known && state == leased && holder == WORKERS + 1 && stamp == mine -> publish(receipt); maybe_save()
            :: else -> skip
            fi;
            mine = 0 }
    od
}

init {
    atomic {
        byte i = 1;
        do
        :: i <= WORKERS -> run worker(i); i++
        :: else -> break
        od
    }
}

/* In the end the job is done, unless the model ran out of claims: then nothing can be said. */
ltl progress { <> [] (state == done || clock_ticks >= CLAIMS_MAX) }
