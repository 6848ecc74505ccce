-- include: index
-- Jobs, their states and the one function that moves them. A job's record is the hash job:<id>; every field stays
-- below 64 bytes so that Redis keeps it packed. What is long (report, artifact, error, progress) lies in the campaign's
-- hashes.

local EVENTS_CAMPAIGN, EVENTS_FARM = 1000, 10000
local counters, woken, classes = {}, {}, {}

-- Counters are summed up here and written once by flush().
local function add(key, field, amount)
    local fields = counters[key] or {}
    counters[key] = fields
    fields[field] = (fields[field] or 0) + amount
end

-- Ends every script that writes: sums, and one marker for each pool that has something new to wait for.
local function flush()
    for key, fields in pairs(counters) do
        for field, amount in pairs(fields) do
            if amount ~= 0 then call('HINCRBY', key, field, amount) end
        end
    end
    for pool in pairs(woken) do call('ZADD', P .. 'marker:' .. pool, 0, '0') end
    counters, woken = {}, {}
end

local function class_of(campaign)
    local class = classes[campaign] or call('HGET', campaign_key(campaign), 'class')
    classes[campaign] = class
    return class
end

local function emit(campaign, kind, data)
    call('XADD', campaign_key(campaign) .. ':events', 'MAXLEN', '~', EVENTS_CAMPAIGN, '*', 'type', kind, 'data', data)
    call('XADD', P .. 'events', 'MAXLEN', '~', EVENTS_FARM, '*', 'type', kind, 'data', data)
end

-- Ids and worker names hold no character that JSON escapes: the callers check that.
local function emit_job(job)
    emit(job.campaign, 'job', string.format('{"id":"%s","state":"%s","attempt":%d,"worker":"%s"}',
        job.id, job.state, job.attempt, job.worker))
end

local function job_kind(suffix) return suffix:match('(%a+)/%d+$') or suffix:match('%a+$') end
-- nil for the jobs that all languages share.
local function job_language(suffix) return suffix:match('^(.+)/%a+/%d+$') or suffix:match('^(.+)/%a+$') end

-- nil when there is no such job.
local function load_job(campaign, suffix)
    local id = campaign .. '/' .. suffix
    local key = P .. 'job:' .. id
    local f = call('HMGET', key, 'state', 'attempt', 'worker', 'seq', 'pool', 'next', 'waits')
    if not f[1] then return nil end
    return {id = id, key = key, campaign = campaign, suffix = suffix, state = f[1], stamp = f[2] or '',
        attempt = tonumber((f[2] or '0'):match('^%d+')),
        worker = f[3] or '', seq = f[4], pool = f[5], next = f[6] or nil, waits = tonumber(f[7] or 0)}
end

local function load_job_id(id) return load_job(id:match('^([^/]+)/(.+)$')) end

local function ready_key(job) return P .. 'ready:' .. job.pool .. ':' .. job.campaign end
local function fair_key(job) return P .. 'fair:' .. job.pool .. ':' .. class_of(job.campaign) end
local function delayed_key(job) return P .. 'delayed:' .. job.pool .. ':' .. class_of(job.campaign) end

-- Start-time fair queueing (Goyal, Vin, Cheng 1996): a campaign that comes to have ready jobs starts at the virtual
-- time of its pool and class, or where it left off if that is later.
local function enter_ready(job)
    call('ZADD', ready_key(job), job.seq, job.suffix)
    woken[job.pool] = true
    local fair = fair_key(job)
    if call('ZSCORE', fair, job.campaign) then return end
    local time = tonumber(call('HGET', P .. 'counts', job.pool .. ':' .. class_of(job.campaign) .. ':time') or 0)
    local tag = tonumber(call('HGET', campaign_key(job.campaign), 'tag:' .. job.pool) or 0)
    call('ZADD', fair, math.max(time, tag), job.campaign)
end

local function leave_ready(job)
    call('ZREM', ready_key(job), job.suffix)
    if call('EXISTS', ready_key(job)) == 1 then return end
    local fair = fair_key(job)
    call('HSET', campaign_key(job.campaign), 'tag:' .. job.pool, call('ZSCORE', fair, job.campaign))
    call('ZREM', fair, job.campaign)
end

local function count(job, amount)
    add(campaign_key(job.campaign), 'n:' .. job.state, amount)
    if job.state == 'ready' or job.state == 'leased' then
        add(P .. 'counts', job.pool .. ':' .. class_of(job.campaign) .. ':' .. job.state, amount)
    end
end

-- `at`: until when it is leased or delayed. Structures, sums and record follow; the
-- further arguments are fields to be set too.
local function enter(job, state, at, ...)
    job.state = state
    count(job, 1)
    if state == 'ready' then
        enter_ready(job)
    elseif state == 'leased' then
        call('ZADD', P .. 'leases', at, job.id)
    elseif state == 'delayed' then
        call('ZADD', delayed_key(job), at, job.id)
        woken[job.pool] = true
    end
    call('HSET', job.key, 'state', state, ...)
end

local function move(job, state, at, ...)
    -- A job that never moved is ready since it was created; the field would cost every queued job 17 bytes.
    if state == 'ready' then call('HSET', job.key, 'ready', now) end
    count(job, -1)
    if job.state == 'ready' then
        leave_ready(job)
    elseif job.state == 'leased' then
        call('ZREM', P .. 'leases', job.id)
    elseif job.state == 'delayed' then
        call('ZREM', delayed_key(job), job.id)
    end
    enter(job, state, at, ...)
end

-- A new job; the caller has made sure that there is none of this id.
local function create(campaign, suffix, pool, seq, waits, next, ended_by)
    local id = campaign .. '/' .. suffix
    local job = {id = id, key = P .. 'job:' .. id, campaign = campaign, suffix = suffix, attempt = 0, worker = '',
        seq = seq, pool = pool, waits = waits}
    local fields = {'seq', seq, 'pool', pool, 'created', now}
    local function field(name, value) fields[#fields + 1], fields[#fields + 2] = name, value end
    if waits > 0 then field('waits', waits) end
    if next ~= '' then field('next', next) end
    if ended_by then field('by', ended_by) end
    index_add(campaign, suffix)
    enter(job, ended_by and 'cancelled' or waits > 0 and 'waiting' or 'ready', 0, unpack(fields))
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
