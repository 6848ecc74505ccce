#include "simulate/simulate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "simulate/heap.h"

enum { HOUR = 3600, DAY = 86400 };

/* A node is paid for this long after its last worker left: Karpenter's consolidation and the termination. */
static const double node_end_s = 60;
/* A spot notice comes 120 s before the end; a job that cannot be done in what is left, less the time to upload,
 * goes back at the next segment or batch boundary (reference: EC2 documentation; worker's drain). */
static const double notice_s = 110, boundary_s = 10;
/* A simulation that does not end after this, because jobs never fit between interruptions or are always held,
 * is cut off. */
static const double overtime_s = 366.0 * DAY;

static const char *const policy_names[] = {"rule", "keda-linear", "hpa-cpu", "always-on", "deadline"};
_Static_assert(ARRAY_LENGTH(policy_names) == SIM_POLICY_COUNT, "one a policy");
const char *sim_policy_name(enum sim_policy policy) { return policy_names[policy]; }

struct samples {
    double *values;
    size_t count, capacity;
};

/* Jobs of a campaign are numbered: plan, tracks, joins, dubs by segment; or handfuls of pictures and the sheet. */
struct campaign_state {
    double *ready_at; /* by job; NULL before and after */
    int *parts_left;  /* dubs by language; of a campaign of pictures the first: its handfuls */
    int jobs_left;
    double open_s[POOL_COUNT]; /* of not being held, from the start of the play until it is due */
    double work_s[POOL_COUNT]; /* expected, of jobs that are not done */
    double tag[POOL_COUNT];    /* start-time fair queueing, as in claim.lua */
    struct heap ready[POOL_COUNT];
};

enum worker_state { WORKER_NONE, WORKER_BOOTING, WORKER_UP };

/* A job that a worker does. */
struct sim_task {
    bool runs;
    double began_s;
    size_t campaign;
    int job;
};

struct sim_worker {
    enum worker_state state;
    enum pool pool;
    enum market market;
    bool leaving; /* ends after its jobs */
    uint32_t epoch;
    double launched_s;
    int busy; /* tasks that run */
    struct sim_task tasks[SCENARIO_SLOTS_MAX];
};

struct mark {
    double at_s;
    int workers;
};

struct pool_state {
    struct heap fair[CLASS_COUNT];
    double time[CLASS_COUNT]; /* virtual */
    int ready[CLASS_COUNT], leased[CLASS_COUNT];
    bool held[CLASS_COUNT];
    double open_s[CLASS_COUNT], open_since_s[CLASS_COUNT];
    int alive, leaving, busy; /* workers; those that leave, and those with a job, are among the living */
    struct heap willing;      /* of worker numbers; those that have no free slot any more are passed over */
    struct mark *marks;       /* what was asked for within the cool-down: falling, the first is the most */
    size_t first_mark, mark_count, mark_capacity;
};

enum event { EVENT_DONE, EVENT_READY, EVENT_NOTICE, EVENT_RELEASE, EVENT_HOLD, EVENT_SCALE };

struct play {
    const struct scenario *scenario;
    struct simulation *out;
    double now, length_s;
    struct heap events;
    struct campaign_state *campaigns;
    size_t arrived;
    size_t *open;
    size_t open_count;
    struct sim_worker *workers;
    size_t worker_count, worker_capacity;
    struct heap unused; /* worker numbers */
    struct pool_state pools[POOL_COUNT];
    struct samples wait[CLASS_COUNT], makespan[CLASS_COUNT];
    uint64_t chance; /* of machines */
    bool looking;    /* an EVENT_LOOK is due */
};

static void samples_add(struct samples *samples, double value) {
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity ? 2 * samples->capacity : 64;
        samples->values = xreallocarray(samples->values, samples->capacity, sizeof *samples->values);
    }
    samples->values[samples->count++] = value;
}

static void play_push_event(struct play *play, double delay_s, enum event event, uint64_t epoch, uint64_t who) {
    uint64_t value = ((uint64_t)event << 60) | ((epoch & 0xfffffff) << 32) | who;
    heap_push(&play->events, play->now + MAX(delay_s, 0), (int64_t)value);
}

static void play_schedule(struct play *play, double delay_s, enum event event, uint64_t who) {
    play_push_event(play, delay_s, event, 0, who);
}

/* An event of a worker is void once the worker it was meant for is gone. `slot`: of EVENT_DONE and EVENT_RELEASE. */
static void worker_schedule(struct play *play, double delay_s, enum event event, size_t number, size_t slot) {
    play_push_event(play, delay_s, event, play->workers[number].epoch, number * SCENARIO_SLOTS_MAX + slot);
}

/* ---- jobs ---- */

static enum job_kind kind_of(const struct scenario_campaign *campaign, int job) {
    if (campaign->pictures)
        return job < scenario_handfuls(campaign) ? KIND_IMAGE : KIND_SHEET;
    if (campaign->languages == 0)
        return KIND_DUB;
    if (job == 0)
        return KIND_PLAN;
    if (job <= campaign->segments)
        return KIND_TRACK;
    return job <= campaign->segments + campaign->languages ? KIND_JOIN : KIND_DUB;
}

/* A job's own time, whatever the policy and however often it is begun. */
static double service_time(const struct play *play, size_t campaign, int job) {
    uint64_t state = play->scenario->seed ^ ((uint64_t)campaign << 32 | (uint32_t)job) * UINT64_C(0xd6e8feb86659fd93);
    scenario_random(&state);
    return spread_draw(&play->scenario->service_s[kind_of(&play->scenario->campaigns[campaign], job)], &state);
}

static void play_make_ready(struct play *play, size_t index, int job) {
    const struct scenario_campaign *campaign = &play->scenario->campaigns[index];
    struct campaign_state *state = &play->campaigns[index];
    enum pool number = job_kind_pool(kind_of(campaign, job));
    struct pool_state *pool = &play->pools[number];
    state->ready_at[job] = play->now;
    if (state->ready[number].count == 0)
        heap_push(&pool->fair[campaign->class], MAX(pool->time[campaign->class], state->tag[number]), (int64_t)index);
    heap_push(&state->ready[number], job, job);
    pool->ready[campaign->class]++;
}

/* The next job of a class: the campaign of the least tag, its oldest job. */
static void play_take_job(struct play *play, enum pool number, enum campaign_class class, struct sim_task *task) {
    struct pool_state *pool = &play->pools[number];
    struct heap *fair = &pool->fair[class];
    struct heap_entry head = fair->entries[0];
    struct campaign_state *state = &play->campaigns[head.value];
    *task = (struct sim_task){true, play->now, (size_t)head.value, (int)heap_pop(&state->ready[number]).value};
    pool->time[class] = head.key;
    state->tag[number] = head.key + 1;
    if (state->ready[number].count)
        heap_replace(fair, (struct heap_entry){head.key + 1, head.value});
    else
        heap_pop(fair);
    pool->ready[class]--;
    pool->leased[class]++;
}

static void play_finish_campaign(struct play *play, size_t index) {
    const struct scenario_campaign *campaign = &play->scenario->campaigns[index];
    struct campaign_state *state = &play->campaigns[index];
    double makespan = play->now - campaign->at_s;
    samples_add(&play->makespan[campaign->class], makespan);
    play->out->missed += campaign->due_s > 0 && makespan > campaign->due_s;
    play->out->campaigns++;
    free(steal(state->ready_at));
    free(steal(state->parts_left));
    for (int pool = 0; pool < POOL_COUNT; pool++)
        free(steal(state->ready[pool].entries));
    for (size_t i = 0; i < play->open_count; i++)
        if (play->open[i] == index) {
            play->open[i] = play->open[--play->open_count];
            break;
        }
}

/* Makes the jobs ready that a finished job brings into being. */
static void play_spawn(struct play *play, size_t index, int job) {
    const struct scenario_campaign *campaign = &play->scenario->campaigns[index];
    int segments = campaign->segments, languages = campaign->languages, first_dub = 1 + segments + languages;
    enum job_kind kind = kind_of(campaign, job);
    for (int i = 0; kind == KIND_PLAN && i < segments; i++)
        play_make_ready(play, index, 1 + i);
    for (int i = 0; kind == KIND_TRACK && i < languages; i++)
        play_make_ready(play, index, first_dub + (job - 1) * languages + i);
    if (kind == KIND_DUB && languages) {
        int language = (job - first_dub) % languages;
        if (--play->campaigns[index].parts_left[language] == 0)
            play_make_ready(play, index, 1 + segments + language);
    }
    if (kind == KIND_IMAGE && --play->campaigns[index].parts_left[0] == 0)
        play_make_ready(play, index, scenario_handfuls(campaign));
}

static void play_finish_job(struct play *play, size_t index, int job) {
    struct campaign_state *state = &play->campaigns[index];
    enum job_kind kind = kind_of(&play->scenario->campaigns[index], job);
    state->work_s[job_kind_pool(kind)] -= play->scenario->service_s[kind].mean;
    play->out->jobs++;
    play_spawn(play, index, job);
    if (--state->jobs_left == 0)
        play_finish_campaign(play, index);
}

/* ---- workers ---- */

static void worker_make_willing(struct play *play, size_t number) {
    play->workers[number].state = WORKER_UP;
    heap_push(&play->pools[play->workers[number].pool].willing, (double)number, (int64_t)number);
}

static size_t worker_new(struct play *play, enum pool pool, enum market market) {
    size_t number = play->unused.count ? (size_t)heap_pop(&play->unused).value : play->worker_count++;
    if (play->worker_count > play->worker_capacity) {
        size_t more = play->worker_count + 16;
        play->workers = xreallocarray(play->workers, play->worker_capacity + more, sizeof *play->workers);
        memset(play->workers + play->worker_capacity, 0, more * sizeof *play->workers);
        play->worker_capacity += more;
    }
    struct sim_worker *worker = &play->workers[number];
    uint32_t epoch = worker->epoch;
    *worker = (struct sim_worker){.pool = pool, .market = market, .epoch = epoch, .launched_s = play->now};
    play->pools[pool].alive++;
    play->out->workers++;
    return number;
}

/* Keeps the share of spot among the machines that come and go, as an autoscaling group does. */
static bool wants_spot(const struct play *play, enum pool pool) {
    int all = 1, spot = 1;
    for (size_t i = 0; i < play->worker_count; i++) {
        const struct sim_worker *worker = &play->workers[i];
        bool counts = worker->state != WORKER_NONE && worker->pool == pool && worker->market != MARKET_RESERVED;
        all += counts;
        spot += counts && worker->market == MARKET_SPOT;
    }
    return spot <= play->scenario->nodes[pool].spot_share * all + 0.5;
}

static void worker_launch(struct play *play, enum pool pool) {
    const struct scenario_nodes *nodes = &play->scenario->nodes[pool];
    bool spot = wants_spot(play, pool);
    size_t number = worker_new(play, pool, spot ? MARKET_SPOT : MARKET_ON_DEMAND);
    double boot = spread_draw(&nodes->boot_s, &play->chance) + spread_draw(&nodes->pod_s, &play->chance);
    double pull = spread_draw(&nodes->pull_s, &play->chance), unit = scenario_random_unit(&play->chance);
    play->workers[number].state = WORKER_BOOTING;
    worker_schedule(play, boot + (nodes->image_cached ? 0 : pull), EVENT_READY, number, 0);
    if (spot && nodes->interruptions > 0)
        worker_schedule(play, -HOUR / nodes->interruptions * log(1 - unit), EVENT_NOTICE, number, 0);
}

static void worker_end(struct play *play, size_t number, double end_s) {
    struct sim_worker *worker = &play->workers[number];
    const struct scenario_nodes *nodes = &play->scenario->nodes[worker->pool];
    double paid = end_s - worker->launched_s;
    play->out->paid_s[worker->pool] += paid;
    play->out->cost[worker->pool][worker->market] += paid / HOUR * nodes->price[worker->market] / nodes->workers;
    play->pools[worker->pool].alive--;
    play->pools[worker->pool].leaving -= worker->leaving;
    worker->state = WORKER_NONE;
    worker->epoch++;
    heap_push(&play->unused, (double)number, (int64_t)number);
}

static void worker_let_go(struct play *play, size_t number) { worker_end(play, number, play->now + node_end_s); }

static void worker_leave_after_jobs(struct play *play, struct sim_worker *worker) {
    play->pools[worker->pool].leaving += !worker->leaving;
    worker->leaving = true;
}

static bool worker_is_willing(const struct play *play, const struct sim_worker *worker, enum pool pool) {
    return worker->state == WORKER_UP && worker->pool == pool && !worker->leaving &&
           worker->busy < play->scenario->nodes[pool].slots;
}

static void worker_begin(struct play *play, size_t number, enum campaign_class class) {
    struct sim_worker *worker = &play->workers[number];
    size_t slot = 0;
    while (worker->tasks[slot].runs)
        slot++;
    struct sim_task *task = &worker->tasks[slot];
    play_take_job(play, worker->pool, class, task);
    samples_add(&play->wait[class], play->now - play->campaigns[task->campaign].ready_at[task->job]);
    play->pools[worker->pool].busy += worker->busy++ == 0;
    worker_schedule(play, service_time(play, task->campaign, task->job), EVENT_DONE, number, slot);
}

/* Starts jobs on workers with a free slot: urgent first, in the order of claim.lua inside a class. */
static void play_dispatch(struct play *play, enum pool number) {
    struct pool_state *pool = &play->pools[number];
    while (pool->willing.count) {
        size_t who = (size_t)pool->willing.entries[0].value;
        if (!worker_is_willing(play, &play->workers[who], number)) {
            heap_pop(&pool->willing);
            continue;
        }
        int class = 0;
        while (class < CLASS_COUNT && (pool->held[class] || pool->fair[class].count == 0))
            class ++;
        if (class == CLASS_COUNT)
            return;
        worker_begin(play, who, (enum campaign_class) class);
    }
}

static void play_dispatch_all(struct play *play) {
    for (int pool = 0; pool < POOL_COUNT; pool++)
        play_dispatch(play, (enum pool)pool);
}

static void worker_stop_task(struct play *play, struct sim_worker *worker, struct sim_task *task) {
    struct pool_state *pool = &play->pools[worker->pool];
    pool->leased[play->scenario->campaigns[task->campaign].class]--;
    play->out->busy_s[worker->pool] += (play->now - task->began_s) / play->scenario->nodes[worker->pool].slots;
    task->runs = false;
    pool->busy -= --worker->busy == 0;
}

static void worker_job_done(struct play *play, size_t number, size_t slot) {
    struct sim_worker *worker = &play->workers[number];
    struct sim_task task = worker->tasks[slot];
    bool was_full = worker->busy == play->scenario->nodes[worker->pool].slots;
    worker_stop_task(play, worker, &worker->tasks[slot]);
    if (worker->leaving && worker->busy == 0)
        worker_let_go(play, number);
    else if (!worker->leaving && was_full) /* else it is among the willing already */
        worker_make_willing(play, number);
    play_finish_job(play, task.campaign, task.job);
}

/* A spot machine is taken back. What goes back does so after boundary_s, what stays is done within notice_s: then the
 * worker is gone, and with it the end that was foreseen for a job that went back. */
static void worker_notice(struct play *play, size_t number) {
    struct sim_worker *worker = &play->workers[number];
    play->out->interruptions++;
    if (worker->busy == 0) {
        worker_let_go(play, number);
        return;
    }
    worker_leave_after_jobs(play, worker);
    for (size_t slot = 0; slot < SCENARIO_SLOTS_MAX; slot++) {
        const struct sim_task *task = &worker->tasks[slot];
        if (task->runs && task->began_s + service_time(play, task->campaign, task->job) - play->now > notice_s)
            worker_schedule(play, boundary_s, EVENT_RELEASE, number, slot);
    }
}

static void worker_release(struct play *play, size_t number, size_t slot) {
    struct sim_worker *worker = &play->workers[number];
    struct sim_task *task = &worker->tasks[slot];
    worker_stop_task(play, worker, task);
    play->out->released++;
    play->out->lost_s += play->now - task->began_s;
    play_make_ready(play, task->campaign, task->job);
    if (worker->busy == 0)
        worker_let_go(play, number);
}

/* ---- policies ---- */

static int64_t free_jobs(const struct pool_state *pool, bool leased) {
    int64_t jobs = 0;
    for (int class = 0; class < CLASS_COUNT; class ++)
        jobs += (pool->held[class] ? 0 : pool->ready[class]) + (leased ? pool->leased[class] : 0);
    return jobs;
}

static int by_rule(const struct play *play, enum pool number) {
    const struct pool_state *pool = &play->pools[number];
    struct scale_demand demand = {0};
    for (int class = 0; class < CLASS_COUNT; class ++)
        demand.load[class] =
            (struct scale_load){.ready = pool->ready[class], .leased = pool->leased[class], .held = pool->held[class]};
    return scale_desired(&play->scenario->policies->pools[number].rule, &demand).total;
}

/* HPA: within 10 % of the target nothing changes; upwards at most the double or 4 more at a time. */
static int by_hpa(double wanted, int current) {
    if (current > 0 && fabs(wanted / current - 1) <= 0.1)
        return current;
    return (int)MIN(ceil(wanted), (double)MAX(2 * current, current + 4));
}

static int by_length(const struct play *play, enum pool number, int current) {
    double jobs = (double)free_jobs(&play->pools[number], false);
    return current == 0 ? jobs > 0 : by_hpa(jobs / 5, current);
}

static int by_cpu(const struct play *play, enum pool number, int current) {
    const struct pool_state *pool = &play->pools[number];
    double busy =
        (double)(pool->leased[CLASS_URGENT] + pool->leased[CLASS_BATCH]) / play->scenario->nodes[number].slots;
    return MAX(1, by_hpa(busy * 0.9 / 0.7, current));
}

static double open_until_now(const struct play *play, const struct pool_state *pool, int class) {
    return pool->open_s[class] + (pool->held[class] ? 0 : play->now - pool->open_since_s[class]);
}

static int compare_entries(const void *a, const void *b) {
    const struct heap_entry *left = a, *right = b;
    return heap_before(right, left) - heap_before(left, right);
}

/* Earliest due date first: all work due before a moment, over the time until then, is what has to run. A fifth
 * of the time is kept for what was not foreseen. */
static int by_deadline(const struct play *play, enum pool number) {
    const struct pool_state *pool = &play->pools[number];
    const struct scenario_nodes *nodes = &play->scenario->nodes[number];
    double cold = nodes->boot_s.mean + nodes->pod_s.mean + (nodes->image_cached ? 0 : nodes->pull_s.mean);
    _cleanup_free_ struct heap_entry *due = xnew_array(struct heap_entry, play->open_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < play->open_count; i++) {
        int class = play->scenario->campaigns[play->open[i]].class;
        double slack = play->campaigns[play->open[i]].open_s[number] - open_until_now(play, pool, class);
        if (!pool->held[class])
            due[count++] = (struct heap_entry){slack, (int64_t)play->open[i]};
    }
    qsort(due, count, sizeof *due, compare_entries);
    double work = 0, workers = pool->leased[CLASS_URGENT] + pool->leased[CLASS_BATCH] > 0;
    for (size_t i = 0; i < count; i++) {
        work += play->campaigns[due[i].value].work_s[number] / nodes->slots;
        workers = MAX(workers, work / MAX(0.8 * (due[i].key - cold), 60));
    }
    return (int)MIN(ceil(workers), (double)free_jobs(pool, true));
}

static int policy_desired(const struct play *play, enum pool number, int current) {
    int max = play->scenario->policies->pools[number].rule.max;
    if (!play->out->used[number])
        return 0;
    switch (play->out->policy) {
    case SIM_LINEAR:
        return MIN(max, by_length(play, number, current));
    case SIM_CPU:
        return MIN(max, by_cpu(play, number, current));
    case SIM_ALWAYS_ON:
        return max;
    case SIM_DEADLINE:
        return MIN(max, by_deadline(play, number));
    default:
        return by_rule(play, number);
    }
}

/* The most that was asked for within the cool-down, as HPA's window does it. */
static int pool_steady(struct play *play, struct pool_state *pool, int workers) {
    while (pool->mark_count && pool->marks[pool->first_mark].at_s < play->now - play->scenario->cool_down_s) {
        pool->first_mark++;
        pool->mark_count--;
    }
    while (pool->mark_count && pool->marks[pool->first_mark + pool->mark_count - 1].workers <= workers)
        pool->mark_count--;
    if (pool->first_mark + pool->mark_count == pool->mark_capacity) {
        if (pool->mark_count)
            memmove(pool->marks, pool->marks + pool->first_mark, pool->mark_count * sizeof *pool->marks);
        pool->first_mark = 0;
        pool->mark_capacity = 2 * pool->mark_count + 16;
        pool->marks = xreallocarray(pool->marks, pool->mark_capacity, sizeof *pool->marks);
    }
    pool->marks[pool->first_mark + pool->mark_count++] = (struct mark){play->now, workers};
    return pool->marks[pool->first_mark].workers;
}

/* Those that boot go first, then the idle; the busy finish their jobs. The workers' own drain is the same under
 * every policy. */
static void pool_shrink(struct play *play, enum pool pool, int surplus) {
    enum { BOOTING, IDLE, BUSY, ORDER_COUNT };
    for (int order = 0; order < ORDER_COUNT; order++)
        for (size_t i = play->worker_count; i-- > 0 && surplus > 0;) {
            struct sim_worker *worker = &play->workers[i];
            int is = worker->state == WORKER_BOOTING ? BOOTING : worker->busy == 0 ? IDLE : BUSY;
            if (worker->state == WORKER_NONE || is != order || worker->pool != pool ||
                worker->market == MARKET_RESERVED || worker->leaving)
                continue;
            surplus--;
            if (is == BUSY)
                worker_leave_after_jobs(play, worker);
            else
                worker_let_go(play, i);
        }
}

static bool anything_to_scale(const struct play *play) {
    bool workers = false;
    for (size_t i = 0; i < play->worker_count && !workers; i++)
        workers = play->workers[i].state != WORKER_NONE && play->workers[i].market != MARKET_RESERVED;
    return workers || play->open_count > 0;
}

static void play_scale(struct play *play) {
    for (int number = 0; number < POOL_COUNT; number++) {
        struct pool_state *pool = &play->pools[number];
        int current = pool->alive - pool->leaving;
        int wanted = pool_steady(play, pool, policy_desired(play, (enum pool)number, current));
        for (int i = current; i < wanted; i++)
            worker_launch(play, (enum pool)number);
        if (wanted < current)
            pool_shrink(play, (enum pool)number, current - wanted);
    }
    play->looking = anything_to_scale(play);
    if (play->looking)
        play_schedule(play, play->scenario->sync_s, EVENT_SCALE, 0);
}

/* ---- time ---- */

static int64_t unix_ms(const struct play *play, double at_s) {
    return play->scenario->start_ms + (int64_t)llround(at_s * 1000);
}

/* Sets what the calendar says now and schedules its next change. */
static void play_calendar(struct play *play, size_t number, int class) {
    struct pool_state *pool = &play->pools[number];
    const struct calendar *calendar = play->scenario->policies->pools[number].calendar;
    pool->open_s[class] = open_until_now(play, pool, class);
    pool->open_since_s[class] = play->now;
    pool->held[class] = calendar_holds(calendar, (enum campaign_class) class, unix_ms(play, play->now));
    int64_t next = calendar_next_change(calendar, (enum campaign_class) class, unix_ms(play, play->now));
    if (next != INT64_MAX)
        play_schedule(play, (double)(next - unix_ms(play, play->now)) / 1000, EVENT_HOLD,
                      number * CLASS_COUNT + (size_t)class);
}

/* For how long the class is not held from now until `due_s`, on top of what it was open so far. */
static double open_until(const struct play *play, enum pool number, int class, double due_s) {
    const struct calendar *calendar = play->scenario->policies->pools[number].calendar;
    double at = play->now, open = open_until_now(play, &play->pools[number], class);
    bool held = play->pools[number].held[class];
    while (at < due_s) {
        int64_t change = calendar_next_change(calendar, (enum campaign_class) class, unix_ms(play, at));
        double next = change == INT64_MAX ? due_s : (double)(change - play->scenario->start_ms) / 1000;
        open += held ? 0 : MIN(next, due_s) - at;
        at = MAX(next, at + 1);
        held = !held;
    }
    return open;
}

static void play_arrive(struct play *play) {
    size_t index = play->arrived++;
    const struct scenario_campaign *campaign = &play->scenario->campaigns[index];
    struct campaign_state *state = &play->campaigns[index];
    int jobs = scenario_jobs(campaign), handfuls = scenario_handfuls(campaign), languages = campaign->languages;
    state->jobs_left = jobs;
    state->ready_at = xnew_array(double, (size_t)jobs);
    state->parts_left = xnew_array(int, (size_t)languages + 1);
    state->parts_left[0] = handfuls;
    for (int i = 0; i < languages; i++)
        state->parts_left[i] = campaign->segments;
    for (int i = 0; i < jobs; i++) {
        enum job_kind kind = kind_of(campaign, i);
        state->work_s[job_kind_pool(kind)] += play->scenario->service_s[kind].mean;
    }
    for (int pool = 0; play->out->policy == SIM_DEADLINE && pool < POOL_COUNT; pool++)
        state->open_s[pool] = open_until(play, (enum pool)pool, campaign->class,
                                         play->now + (campaign->due_s > 0 ? campaign->due_s : DAY));
    play->open[play->open_count++] = index;
    for (int i = 0; i < MAX(handfuls, 1); i++)
        play_make_ready(play, index, i);
    if (!play->looking) {
        play->looking = true;
        play_schedule(play, 0, EVENT_SCALE, 0);
    }
}

static void play_happen(struct play *play, uint64_t value) {
    enum event event = (enum event)(value >> 60);
    size_t who = value & 0xffffffff, number = who / SCENARIO_SLOTS_MAX, slot = who % SCENARIO_SLOTS_MAX;
    if (event <= EVENT_RELEASE && (play->workers[number].epoch & 0xfffffff) != (value >> 32 & 0xfffffff))
        return;
    if (event == EVENT_DONE)
        worker_job_done(play, number, slot);
    else if (event == EVENT_READY)
        worker_make_willing(play, number);
    else if (event == EVENT_NOTICE)
        worker_notice(play, number);
    else if (event == EVENT_RELEASE)
        worker_release(play, number, slot);
    else if (event == EVENT_HOLD)
        play_calendar(play, who / CLASS_COUNT, (int)(who % CLASS_COUNT));
    else
        play_scale(play);
}

/* The whole timeline is of the scenario's days; what comes later widens its last part. */
static void play_note_in(struct play *play, int number, int which, double until_s) {
    struct sim_timeline *timeline = &play->out->timelines[which];
    const struct pool_state *pool = &play->pools[number];
    double part = (timeline->to_s - timeline->from_s) / SIM_BUCKETS;
    if (until_s < timeline->from_s || (which == SIM_BUSIEST_DAY && play->now >= timeline->to_s))
        return;
    int first = (int)CLAMP((play->now - timeline->from_s) / part, 0, (double)SIM_BUCKETS - 1);
    int last = (int)MIN(ceil((until_s - timeline->from_s) / part) - 1, (double)SIM_BUCKETS - 1);
    for (int i = first; i <= last; i++) {
        struct sim_bucket *bucket = &timeline->buckets[number][i];
        bucket->ready = MAX(bucket->ready, pool->ready[CLASS_URGENT] + pool->ready[CLASS_BATCH]);
        bucket->workers = MAX(bucket->workers, pool->alive);
        bucket->busy = MAX(bucket->busy, pool->busy);
        bucket->held = bucket->held || pool->held[CLASS_BATCH];
    }
}

/* Records the present state for the time until `until_s`. */
static void play_note(struct play *play, double until_s) {
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        play_note_in(play, pool, SIM_WHOLE, until_s);
        play_note_in(play, pool, SIM_BUSIEST_DAY, until_s);
        play->out->most_workers[pool] = MAX(play->out->most_workers[pool], play->pools[pool].alive);
    }
}

static double busiest_day_s(const struct scenario *scenario) {
    _cleanup_free_ double *jobs = xnew_array(double, 367);
    int busiest = 0;
    for (size_t i = 0; i < scenario->campaign_count; i++) {
        int day = (int)MIN(scenario->campaigns[i].at_s / DAY, 366.0);
        jobs[day] += scenario_jobs(&scenario->campaigns[i]);
        busiest = jobs[day] > jobs[busiest] ? day : busiest;
    }
    return (double)busiest * DAY;
}

/* The first job of a campaign and the last one are of all the pools that it has jobs for. */
static void simulate_note_pools(const struct scenario *scenario, struct simulation *out) {
    for (size_t i = 0; i < scenario->campaign_count; i++) {
        const struct scenario_campaign *campaign = &scenario->campaigns[i];
        out->used[job_kind_pool(kind_of(campaign, 0))] = true;
        out->used[job_kind_pool(kind_of(campaign, scenario_jobs(campaign) - 1))] = true;
    }
}

static bool play_is_over(const struct play *play, double next_s) {
    bool idle = play->arrived == play->scenario->campaign_count && play->open_count == 0;
    return (idle && next_s >= play->length_s) || next_s > play->length_s + overtime_s;
}

static void play_run(struct play *play) {
    for (;;) {
        double arrival =
            play->arrived < play->scenario->campaign_count ? play->scenario->campaigns[play->arrived].at_s : INFINITY;
        double event = play->events.count ? play->events.entries[0].key : INFINITY, next = MIN(arrival, event);
        if (play_is_over(play, next))
            return;
        play_note(play, next);
        play->now = next;
        if (arrival <= event)
            play_arrive(play);
        else
            play_happen(play, (uint64_t)heap_pop(&play->events).value);
        play_dispatch_all(play);
    }
}

/* ---- the result ---- */

static int compare_numbers(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static struct sim_times samples_summarize(struct samples *samples) {
    size_t count = samples->count;
    if (count == 0)
        return (struct sim_times){0};
    double sum = 0, *values = samples->values;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    qsort(values, count, sizeof *values, compare_numbers);
#define RANK(percent) values[(count - 1) * (percent) / 100]
    return (struct sim_times){count, sum / (double)count, RANK(50), RANK(90), RANK(95), RANK(99), values[count - 1]};
#undef RANK
}

static void play_close_books(struct play *play) {
    struct simulation *out = play->out;
    out->end_s = MAX(play->length_s, play->now);
    play->now = out->end_s;
    play_note(play, out->end_s);
    for (size_t i = 0; i < play->worker_count; i++)
        if (play->workers[i].state != WORKER_NONE)
            worker_end(play, i, out->end_s);
    for (int class = 0; class < CLASS_COUNT; class ++) {
        out->wait[class] = samples_summarize(&play->wait[class]);
        out->makespan[class] = samples_summarize(&play->makespan[class]);
    }
    out->unfinished = play->scenario->campaign_count - out->campaigns;
}

static void play_free(struct play *play) {
    for (size_t i = 0; i < play->scenario->campaign_count; i++) {
        free(play->campaigns[i].ready_at);
        free(play->campaigns[i].parts_left);
        for (int pool = 0; pool < POOL_COUNT; pool++)
            free(play->campaigns[i].ready[pool].entries);
    }
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        free(play->pools[pool].willing.entries);
        free(play->pools[pool].marks);
        for (int class = 0; class < CLASS_COUNT; class ++)
            free(play->pools[pool].fair[class].entries);
    }
    for (int class = 0; class < CLASS_COUNT; class ++) {
        free(play->wait[class].values);
        free(play->makespan[class].values);
    }
    free(play->events.entries);
    free(play->unused.entries);
    free(play->campaigns);
    free(play->workers);
    free(play->open);
}

void simulate(const struct scenario *scenario, enum sim_policy policy, struct simulation *out) {
    double busiest_s = busiest_day_s(scenario), length_s = scenario->days * DAY;
    *out = (struct simulation){.policy = policy};
    simulate_note_pools(scenario, out);
    out->timelines[SIM_WHOLE].to_s = length_s;
    out->timelines[SIM_BUSIEST_DAY].from_s = busiest_s;
    out->timelines[SIM_BUSIEST_DAY].to_s = busiest_s + DAY;
    _cleanup_(play_free) struct play play = {.scenario = scenario,
                                             .out = out,
                                             .length_s = length_s,
                                             .chance = ~scenario->seed,
                                             .campaigns =
                                                 xnew_array(struct campaign_state, scenario->campaign_count + 1),
                                             .open = xnew_array(size_t, scenario->campaign_count + 1)};
    for (size_t pool = 0; pool < POOL_COUNT; pool++) {
        for (int class = 0; class < CLASS_COUNT; class ++)
            play_calendar(&play, pool, class);
        for (int i = 0; i < scenario->nodes[pool].reserved * scenario->nodes[pool].workers; i++)
            worker_make_willing(&play, worker_new(&play, (enum pool)pool, MARKET_RESERVED));
    }
    if (policy == SIM_ALWAYS_ON || policy == SIM_CPU)
        play_scale(&play);
    play_run(&play);
    play_close_books(&play);
}
