-- include: index
-- Jobs, their states and the one function that moves them. A job's record is the hash job:<id>; every field stays
-- below 64 bytes so that Redis keeps it packed. What is long (report, artifact, error, progress) lies in the campaign's
-- hashes.

local EVENTS_CAMPAIGN, EVENTS_FARM = 1000, 10000
local OPEN = {waiting = true, ready = true, delayed = true, leased = true}
local counters, woken, classes = {}, {}, {}

-- Counters are summed up here and written once by flush(): what a finish adds and its claim takes away costs nothing.
local function add(key, field, amount)
    local fields = counters[key] or {}
    counters[key] = fields
    fields[field] = (fields[field] or 0) + amount
end

local function append(stream, most, kind, data)
    call('XADD', stream, 'MAXLEN', '~', most, '*', 'type', kind, 'data', data)
end

-- Ends every script that writes: sums, and one marker for each pool and class that has something to wait for. woken[lane]
-- is true when the farm has to hear of it too, since it is new.
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

local function class_of(campaign)
    local class = classes[campaign] or call('HGET', campaign_key(campaign), 'class')
    classes[campaign] = class
    return class
end

local function emit(campaign, kind, data)
    append(campaign_key(campaign) .. ':events', EVENTS_CAMPAIGN, kind, data)
end

local function emit_campaign(campaign, data)
    emit(campaign, 'campaign', data)
    append(P .. 'events', EVENTS_FARM, 'campaign', data)
end

-- Ids and worker names hold no character that JSON escapes: the callers check that.
local function emit_job(job)
    emit(job.campaign, 'job', '{"id":"' .. job.id .. '","state":"' .. job.state .. '","attempt":' .. job.attempt ..
        ',"worker":"' .. job.worker .. '"}')
end

local function job_kind(suffix) return suffix:match('(%a+)/%d+$') or suffix:match('%a+$') end
-- nil for the jobs that all languages share.
local function job_language(suffix) return suffix:match('^(.+)/%a+/%d+$') or suffix:match('^(.+)/%a+$') end

-- nil when there is no such job.
local function load_job(campaign, suffix)
    local id = campaign .. '/' .. suffix
    local key = P .. 'job:' .. id
    local f = call('HMGET', key, 'state', 'attempt', 'worker', 'seq', 'pool', 'next', 'waits', 'errors', 'told')
    if not f[1] then return nil end
    return {id = id, key = key, campaign = campaign, suffix = suffix, state = f[1], stamp = f[2] or '',
        attempt = tonumber((f[2] or '0'):match('^%d+')),
        worker = f[3] or '', seq = f[4], pool = f[5], next = f[6] or nil, waits = tonumber(f[7] or 0), errors = f[8],
        told = f[9]}
end

local function load_job_id(id) return load_job(id:match('^([^/]+)/(.+)$')) end

local function ready_key(pool, campaign) return P .. 'ready:' .. pool .. ':' .. campaign end
-- A pool and a class, the unit in which jobs are taken, held and waited for: "lipsync:batch".
local function lane(pool, campaign) return pool .. ':' .. class_of(campaign) end
local function delayed_key(job) return P .. 'delayed:' .. lane(job.pool, job.campaign) end

-- Start-time fair queueing (Goyal, Vin, Cheng 1996): a campaign that comes to have ready jobs starts at the virtual
-- time of its pool and class, or where it left off if that is later. The virtual time is the least tag of those that
-- have ready jobs; when there is none, the tag of the last one that had.
local function enter_fair(pool, campaign)
    local name = lane(pool, campaign)
    local fair = P .. 'fair:' .. name
    woken[name] = true
    if call('ZSCORE', fair, campaign) then return end
    local time = call('ZRANGE', fair, 0, 0, 'WITHSCORES')[2] or call('HGET', P .. 'counts', name .. ':time') or 0
    local tag = call('HGET', campaign_key(campaign), 'tag:' .. pool) or 0
    call('ZADD', fair, math.max(tonumber(time), tonumber(tag)), campaign)
end

local function enter_ready(job)
    call('ZADD', ready_key(job.pool, job.campaign), job.seq, job.suffix)
    enter_fair(job.pool, job.campaign)
end

local function leave_fair(pool, campaign, tag)
    local name = lane(pool, campaign)
    call('ZREM', P .. 'fair:' .. name, campaign)
    call('HSET', campaign_key(campaign), 'tag:' .. pool, tag)
    if call('EXISTS', P .. 'fair:' .. name) == 0 then call('HSET', P .. 'counts', name .. ':time', tag) end
end

-- A claim has looked whether the campaign has `more` ready jobs, and knows its new `tag`; others leave these out.
local function leave_ready(job, more, tag)
    local ready = ready_key(job.pool, job.campaign)
    call('ZREM', ready, job.suffix)
    if more == nil then more = call('EXISTS', ready) == 1 end
    local fair = P .. 'fair:' .. lane(job.pool, job.campaign)
    if not more then
        leave_fair(job.pool, job.campaign, tag or call('ZSCORE', fair, job.campaign))
    elseif tag then
        call('ZADD', fair, tag, job.campaign)
    end
end

local function count(campaign, pool, state, amount)
    add(campaign_key(campaign), 'n:' .. state, amount)
    if state == 'ready' or state == 'leased' then
        add(P .. 'counts', lane(pool, campaign) .. ':' .. state, amount)
    end
end

-- `at`: until when it is leased or delayed. Structures, sums and record follow; the
-- further arguments are fields to be set too.
local function enter(job, state, at, ...)
    job.state = state
    count(job.campaign, job.pool, state, 1)
    if state == 'ready' then
        enter_ready(job)
        -- A job that never moved is ready since it was created; the field would cost every queued job 17 bytes.
        call('HSET', job.key, 'state', state, 'ready', now, ...)
        return
    elseif state == 'leased' then
        call('ZADD', P .. 'leases', at, job.id)
    elseif state == 'delayed' then
        call('ZADD', delayed_key(job), at, job.id)
        woken[lane(job.pool, job.campaign)] = true
    end
    call('HSET', job.key, 'state', state, ...)
end

local function move(job, state, at, ...)
    count(job.campaign, job.pool, job.state, -1)
    if job.state == 'ready' then
        leave_ready(job, job.more, job.tag)
    elseif job.state == 'leased' then
        call('ZREM', P .. 'leases', job.id)
    elseif job.state == 'delayed' then
        call('ZREM', delayed_key(job), job.id)
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
