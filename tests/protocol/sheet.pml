/* Fan-in with deaths that end nothing else, and retries, as a model for spin: a campaign of some images and the sheet
 * that waits for them (docs/queue.md, "Death, retry, cancel").
 *
 * Mirrors: lib/waits.lua, lib/death.lua (die, leave_out, settle), retry.lua (count_up), lib/job.lua (move) and the end of
 * lib/publish.lua. One script is one atomic step; that a lease is safe is the other model's claim (queue.pml), so a job
 * that is leased here is finished, dies, or comes back, at any time and in any order.
 *
 * Claimed after each step: `waits` is how many images have yet to end; a sheet that is ready waits for none, and has one
 * to show; one that waits has something to wait for, so there is a next step until the end; the campaign runs as long as
 * a job is open and no longer; it ends done when nothing is dead, failed when nothing is done, else partial.
 *
 * Faults that the claims must find, one a -D: NO_COUNT_UP (a retry does not make the sheet wait again), LEASED_READY (what
 * comes back is ready whatever it waits for), OPEN_ONLY (a retry counts only where the sheet has to wait), NO_CANCEL (the
 * sheet runs when all images died), NO_COUNT_DOWN (a death leaves the sheet waiting), BLIND_SETTLE (a campaign with dead
 * jobs is done). */

#ifndef IMAGES
#define IMAGES 3
#endif
#ifndef RETRIES
#define RETRIES 4 /* of one run; bounds the state space */
#endif

mtype = { waiting, ready, delayed, leased, done, dead, cancelled, running, partial, failed };

mtype image[IMAGES] = ready;
mtype sheet = waiting, campaign = running;
byte waits = IMAGES, retries = 0;

/* Of all jobs: how many are open, done, dead; of images: how many have yet to end. */
byte are_open, are_done, are_dead, pending;

inline count_one(state) {
    if
    :: state == waiting || state == ready || state == delayed || state == leased -> are_open++
    :: state == done -> are_done++
    :: state == dead -> are_dead++
    :: else
    fi
}

inline count_all() {
    are_open = 0; are_done = 0; are_dead = 0; pending = 0; n = 0;
    do
    :: n < IMAGES ->
        count_one(image[n]);
        if
        :: image[n] != done && image[n] != dead -> pending++
        :: else
        fi;
        n++
    :: else -> break
    od;
    count_one(sheet)
}

/* lib/job.lua: a sheet that would be ready waits as long as it has to. */
inline sheet_ready() {
#ifdef LEASED_READY
    sheet = ready
#else
    if
    :: waits > 0 -> sheet = waiting
    :: else -> sheet = ready
    fi
#endif
}

inline settle() {
    count_all();
    if
    :: campaign == running && are_open == 0 ->
        if
        :: are_done == 0 -> campaign = failed
#ifdef BLIND_SETTLE
        :: are_done > 0 -> campaign = done
#else
        :: are_done > 0 && are_dead == 0 -> campaign = done
        :: are_done > 0 && are_dead > 0 -> campaign = partial
#endif
        fi
    :: else
    fi
}

inline count_down(state) {
    waits--;
    if
    :: waits == 0 && sheet == waiting -> sheet = state
    :: else
    fi
}

inline image_dies() {
    image[i] = dead;
    count_all();
#ifndef NO_COUNT_DOWN
    if
#ifndef NO_CANCEL
    :: are_done == 0 -> count_down(cancelled)
    :: are_done > 0 -> count_down(ready)
#else
    :: count_down(ready)
#endif
    fi;
#endif
    settle()
}

inline reopen() {
    campaign = running; retries++
}

inline image_retried() {
    image[i] = ready;
#ifndef NO_COUNT_UP
#ifdef OPEN_ONLY
    if
    :: sheet == waiting || sheet == ready || sheet == delayed || sheet == cancelled -> waits++
    :: else
    fi;
#else
    waits++;
#endif
    if
    :: sheet == ready || sheet == delayed || sheet == cancelled -> sheet = waiting
    :: else
    fi;
#endif
    reopen()
}

inline check() {
    count_all();
    assert(waits == pending);
    assert(sheet != ready || (pending == 0 && are_done > 0));
    assert(sheet != waiting || pending > 0);
    assert((campaign == running) == (are_open > 0));
    assert(campaign != done || are_dead == 0);
    assert(campaign != failed || are_done == 0);
    assert(campaign != partial || (are_done > 0 && are_dead > 0));
    n = 0
}

active proctype farm() {
    byte i = 0, n = 0;
    do
    /* Any image may be the next one that something happens to. */
    :: atomic { i < IMAGES - 1 -> i++ }
    :: atomic { i > 0 -> i = 0 }
    :: atomic { image[i] == ready -> image[i] = leased; check() }
    :: atomic { image[i] == leased -> image[i] = ready; check() } /* released, failed or expired */
    :: atomic { image[i] == leased -> image[i] = done; count_down(ready); settle(); check() }
    :: atomic { image[i] == leased -> image_dies(); check() }
    :: atomic { image[i] == dead && retries < RETRIES -> image_retried(); check() }
    :: atomic { sheet == ready -> sheet = leased; check() }
    :: atomic { sheet == leased -> sheet_ready(); check() }
    :: atomic { sheet == leased -> sheet = delayed; check() }
    :: atomic { sheet == delayed -> sheet_ready(); check() }
    :: atomic { sheet == leased -> sheet = done; settle(); check() }
    :: atomic { sheet == leased -> sheet = dead; settle(); check() }
    :: atomic { sheet == dead && retries < RETRIES -> sheet_ready(); reopen(); check() }
    :: atomic { campaign != running -> break }
    od
}
