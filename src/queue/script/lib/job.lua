-- include: base
-- Jobs, their states, and move(), the only function that changes a state.
--
-- Order of writes: Redis runs a script alone but does not undo it. So each script checks first (fence, arguments, what its
-- children lead to) and writes only once nothing can refuse it any more. Sums are gathered by add() and written by flush(),
-- which every script that moves a job calls last.
--
-- A job's record is the hash job:<id>; every field stays
-- below 64 bytes so that Redis keeps it packed. What is long (report, artifact, error, progress) lies in the campaign's
-- hashes. A lane is a pool and a class, "lipsync:batch": the unit in which jobs are taken, held and waited for.

local EVENTS_CAMPAIGN, EVENTS_FARM = 1000, 10000
local OPEN = {waiting = true, ready = true, delayed = true, leased = true}
local counters, woken = {}, {}

-- on demand: line

-- What a finish adds and its next claim subtracts cancels out here and costs no write.
local function add(key, field, amount)
    local fields = counters[key] or {}
    counters[key] = fields
    fields[field] = (fields[field] or 0) + amount
end

local function append(stream, most, kind, data)
    -- Trimming costs half as much as adding and removes whole nodes of a hundred entries: one time in sixteen will do.
    if clock[2] % 16 == 0 then
        call('XADD', stream, 'MAXLEN', '~', most, '*', kind, data)
    else
        call('XADD', stream, '*', kind, data)
    end
end

-- Writes the sums, and one marker for each lane in `woken`. woken[lane] is true when jobs are new there: then the farm's
-- event stream says so too, for the scaler.
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

-- Ids and worker names hold no character that JSON escapes: the callers check that.
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
    local f = call('HMGET', key, 'state', 'attempt', 'worker', 'lane', 'next', 'errors', 'told', 'waits', 'seq')
    if not f[1] then return nil end
    local stamp = f[2] or '0'
    return {id = id, key = key, campaign = campaign, suffix = suffix, state = f[1], stamp = stamp,
        attempt = tonumber(stamp:match('^%d+')), worker = f[3] or '', lane = f[4], next = f[5] or nil, errors = f[6],
        told = f[7], waits = tonumber(f[8] or 0), seq = f[9]}
end

local function load_job_id(id) return load_job(id:match('^([^/]+)/(.+)$')) end

-- `more`: whether the campaign has further ready jobs in the lane; `tag`: its new start tag. A claim knows both; others leave
-- them nil.
local function leave_ready(job, more, tag)
    local ready = P .. 'ready:' .. job.lane .. ':' .. job.campaign
    call('ZREM', ready, job.suffix)
    if more == nil then more = call('EXISTS', ready) == 1 end
    local fair = P .. 'fair:' .. job.lane
    if not more then
        line().leave_fair(job.lane, job.campaign, tag or call('ZSCORE', fair, job.campaign))
    elseif tag then
        call('ZADD', fair, tag, job.campaign)
    end
end

-- Ready and leased jobs are counted by lane; how many a campaign has of them follows from its other sums (lib/counts.lua).
local function count(campaign, lane, state, amount)
    if state == 'ready' or state == 'leased' then
        add(P .. 'counts', lane .. ':' .. state, amount)
    else
        add(campaign_key(campaign), 'n:' .. state, amount)
    end
end

-- Puts the job into the structures of its new state and writes its record. `at`: until when it is leased or delayed. Further
-- arguments: fields of the record and their values.
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

local function move(job, state, at, ...)
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

-- A claim's stamp, "<attempt>-<ten digits>", is what the record's field `attempt` holds. The digits tell it from the claim
-- of the same attempt that a Redis which has lost its data since may have given before.
local function stamp_claim(job, worker)
    job.attempt = job.attempt + 1
    job.stamp = job.attempt .. '-' .. redis.sha1hex(clock[1] .. ' ' .. clock[2] .. ' ' .. job.id .. ' ' .. worker):sub(1, 10)
end

-- The job if `worker` holds its lease by the claim of this stamp; else nil, why not, and the job if it exists.
local function fence(id, worker, stamp)
    local job = load_job_id(id)
    if not job or job.worker ~= worker or job.stamp ~= stamp then return nil, 'queue.stale', nil end
    if job.state == 'leased' then return job end
    return nil, job.state == 'cancelled' and 'cancelled' or 'queue.stale', job
end
