-- include: base
-- Jobs, their states, and move(), the one function that changes a state. A job's record is the hash job:<id>; every field
-- stays below 64 bytes so that Redis keeps it packed, but for the names of workers that failed (lib/blame.lua), which few jobs
-- have. What is long (report, artifact, error, progress) is in the campaign's
-- hashes. A lane is a pool and a class, "lipsync:batch": the unit in which jobs are claimed, held and waited for.

local EVENTS_CAMPAIGN, EVENTS_FARM = 1000, 10000
local OPEN = {waiting = true, ready = true, delayed = true, leased = true}
local counters, woken = {}, {}

-- on demand: line

-- Adds to a counter of the hash `key`. The sums are kept here until flush(): what a finish adds and the claim after it
-- subtracts is never written.
local function add(key, field, amount)
    local fields = counters[key] or {}
    counters[key] = fields
    fields[field] = (fields[field] or 0) + amount
end

local function append(stream, most, kind, data)
    -- To trim a stream costs half as much as to add to it, and removes whole nodes of a hundred entries. So only about every
    -- sixteenth entry trims, by the microseconds of the clock.
    if clock[2] % 16 == 0 then
        call('XADD', stream, 'MAXLEN', '~', most, '*', kind, data)
    else
        call('XADD', stream, '*', kind, data)
    end
end

-- The last step of every script that moves a job: writes the sums, and sets the marker of each lane in `woken`, which wakes
-- one waiting worker. woken[lane] is true when jobs of it are new, so that the farm's events tell of them; false when a
-- claim only hands the marker on.
local function flush()
    for key, fields in pairs(counters) do
        for field, amount in pairs(fields) do
            if amount ~= 0 then call('HINCRBY', key, field, amount) end
        end
    end
    for lane, new in pairs(woken) do
        call('ZADD', P .. 'marker:' .. lane, 0, '0')
        if new then append(P .. 'events', EVENTS_FARM, 'work', '{"pool":"' .. lane:match('^%a+') .. '"}') end
    end
    counters, woken = {}, {}
end

local function emit(campaign, kind, data) append(campaign_key(campaign) .. ':events', EVENTS_CAMPAIGN, kind, data) end

local function emit_campaign(campaign, data)
    append(P .. 'events', EVENTS_FARM, 'campaign', data)
    emit(campaign, 'campaign', data)
end

-- Ids and names of workers have no character that JSON escapes: queue.c checks both (campaign_id_is_valid,
-- language_is_valid, check_worker). So JSON is made by joining strings here.
local function emit_job(job)
    emit(job.campaign, 'job', '{"id":"' .. job.id .. '","state":"' .. job.state .. '","attempt":' .. job.attempt ..
        ',"worker":"' .. job.worker .. '"}')
end

-- nil for the jobs that all languages share.
local function job_language(suffix) return suffix:match('^(.+)/%a+/%d+$') or suffix:match('^(.+)/%a+$') end

-- nil when there is no such job.
local function load_job(campaign, suffix)
    local id = campaign .. '/' .. suffix
    local key = P .. 'job:' .. id
    local f = call('HMGET', key, 'state', 'attempt', 'worker', 'lane', 'next', 'told', 'waits', 'seq', 'affinity')
    if not f[1] then return nil end
    local stamp = f[2] or '0'
    return {id = id, key = key, campaign = campaign, suffix = suffix, state = f[1], stamp = stamp,
        attempt = tonumber(stamp:match('^%d+')), worker = f[3] or '', lane = f[4], next = f[5] or nil,
        told = f[6], waits = tonumber(f[7] or 0), seq = f[8], affinity = f[9] or nil}
end

local function load_job_id(id) return load_job(id:match('^([^/]+)/(.+)$')) end

-- A claim knows whether the campaign has `more` ready jobs, and its new start tag; all others pass nil for both.
local function leave_ready(job, more, tag)
    local ready = P .. 'ready:' .. job.lane .. ':' .. job.campaign
    call('ZREM', ready, job.suffix)
    if job.affinity then line().leave_affinity(job, tag) end
    if more == nil then more = call('EXISTS', ready) == 1 end
    local fair = P .. 'fair:' .. job.lane
    if not more then
        line().leave_fair(job.lane, job.campaign, tag or call('ZSCORE', fair, job.campaign))
    elseif tag then
        call('ZADD', fair, tag, job.campaign)
    end
end

-- Ready and leased jobs are counted by lane, the others by campaign: how many ready and leased ones a campaign has follows
-- from the rest (lib/counts.lua).
local function count(campaign, lane, state, amount)
    if state == 'ready' or state == 'leased' then
        add(P .. 'counts', lane .. ':' .. state, amount)
    else
        add(campaign_key(campaign), 'n:' .. state, amount)
    end
end

-- The second half of move(): puts the job where its new state says.
local function enter(job, state, at, ...)
    job.state = state
    count(job.campaign, job.lane, state, 1)
    if state == 'ready' then
        line().enter_ready(job)
        -- A job that never moved is ready since it was created; the field would cost every queued job 17 bytes.
        call('HSET', job.key, 'state', state, 'ready', now, ...)
        return
    elseif state == 'leased' then
        call('ZADD', P .. 'leases', at, job.id)
    elseif state == 'delayed' then
        call('ZADD', P .. 'delayed:' .. job.lane, at, job.id)
        woken[job.lane] = true
    end
    call('HSET', job.key, 'state', state, ...)
end

-- Moves a job from its state to another one: its line, lease or delay, the sums and the record. `at`: until when it is leased
-- or delayed, else 0. The further arguments are fields of the record. What would be ready waits instead if a job that it
-- waits for was retried meanwhile.
local function move(job, state, at, ...)
    if state == 'ready' and job.waits > 0 then state = 'waiting' end
    count(job.campaign, job.lane, job.state, -1)
    if job.state == 'ready' then
        leave_ready(job, job.more, job.tag)
    elseif job.state == 'leased' then
        call('ZREM', P .. 'leases', job.id)
    elseif job.state == 'delayed' then
        call('ZREM', P .. 'delayed:' .. job.lane, job.id)
    end
    enter(job, state, at, ...)
end

-- Gives the job its next attempt and stamp, "<attempt>-<ten digits>", which the record holds as `attempt`. The digits
-- differ from those of every other claim, also of one with the same attempt that was given before Redis lost its data.
local function stamp_claim(job, worker)
    job.attempt = job.attempt + 1
    job.stamp = job.attempt .. '-' .. redis.sha1hex(clock[1] .. ' ' .. clock[2] .. ' ' .. job.id .. ' ' .. worker):sub(1, 10)
end

-- The job if `worker` holds its lease by the claim of this stamp. Else nil, why not, and the job if this claim was its last
-- one (the lease has ended). A lease that ran out but that nobody has claimed still holds.
local function fence(id, worker, stamp)
    local job = load_job_id(id)
    if not job or job.worker ~= worker or job.stamp ~= stamp then return nil, 'queue.stale', nil end
    if job.state == 'leased' then return job end
    return nil, job.state == 'cancelled' and 'cancelled' or 'queue.stale', job
end
