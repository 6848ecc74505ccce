-- include: death
-- include: counts
-- Audits a campaign's jobs, up to ten buckets of them a call: each record against its line, lease, delay and what it waits
-- for. The records are held to be right, and a repair makes the rest fit them.
-- ARGV: campaign, bucket to go on from or "", repair (0 or 1), pools (with spaces between)
-- Returns {next bucket or "", jobs by state as found, by state as counted, finding, job, ...}; empty without such a
-- campaign.
-- Repairs are flushed before the campaign's sums are read, so that both are of the same moment.
local BUCKETS_AT_ONCE = 10
local campaign, from, repair = ARGV[1], ARGV[2], ARGV[3] == '1'
local key = campaign_key(campaign)
if call('EXISTS', key) == 0 then return {} end
local found, findings, spawning = {}, {}, nil

-- Notes a finding of a job, or of the campaign itself when it is nil; returns whether it is to be repaired.
local function find(what, suffix)
    findings[#findings + 1], findings[#findings + 2] = what, suffix and campaign .. '/' .. suffix or campaign
    return repair
end

-- Whether jobs may still come into being that others wait for already: the dubs of tracks that are not done.
local function may_spawn()
    if spawning == nil then
        spawning = call('HGET', key, 'workload') ~= 'images' and
            call('HGET', P .. 'job:' .. campaign .. '/plan', 'state') ~= 'done'
        each_job(campaign, 'track', function(suffix)
            if call('HGET', P .. 'job:' .. campaign .. '/' .. suffix, 'state') ~= 'done' then spawning = true end
        end)
    end
    return spawning
end

local function check_waits(job)
    local pending = 0
    each_job(campaign, job_language(job.suffix), function(suffix)
        local f = call('HMGET', P .. 'job:' .. campaign .. '/' .. suffix, 'next', 'state')
        if f[1] == job.suffix and f[2] ~= 'done' and not (f[2] == 'dead' and dies_alone(suffix)) then pending = pending + 1 end
    end)
    if job.waits >= pending and (job.waits == pending or may_spawn()) then return end
    if not find('waits for another number of jobs than there are', job.suffix) then return end
    call('HSET', job.key, 'waits', pending)
    job.waits = pending
    if pending == 0 then move(job, 'ready', 0) end
end

local function in_line(job)
    local line = P .. 'ready:' .. job.lane .. ':' .. campaign
    return call('ZSCORE', line, job.suffix) and (not job.affinity or call('ZSCORE', line .. ':' .. job.affinity, job.suffix) and
        call('ZSCORE', P .. 'affinities:' .. job.lane .. ':' .. campaign, job.affinity))
end

local function check_job(suffix, bucket)
    local job = load_job(campaign, suffix)
    if not job then
        if find('in the index without a record', suffix) then call('ZREM', bucket_key(campaign, bucket), suffix) end
        return
    end
    if job.state == 'waiting' then
        check_waits(job)
    elseif job.state == 'ready' and not in_line(job) then
        if find('ready but in no line', suffix) then line().enter_ready(job) end
    elseif job.state == 'leased' and not call('ZSCORE', P .. 'leases', job.id) then
        if find('leased without a lease', suffix) then move(job, 'ready', 0) end
    elseif job.state == 'delayed' and not call('ZSCORE', P .. 'delayed:' .. job.lane, job.id) then
        if find('delayed for ever', suffix) then call('ZADD', P .. 'delayed:' .. job.lane, now, job.id) end
    end
    found[job.state] = (found[job.state] or 0) + 1
end

local buckets = call('ZRANGEBYLEX', index_key(campaign), from == '' and '-' or '[' .. from, '+', 'LIMIT', 0,
    BUCKETS_AT_ONCE + 1)
for i = 1, math.min(#buckets, BUCKETS_AT_ONCE) do
    for _, suffix in ipairs(call('ZRANGE', bucket_key(campaign, buckets[i]), 0, -1)) do check_job(suffix, buckets[i]) end
end
flush()

local out = {buckets[BUCKETS_AT_ONCE + 1] or '', {}, campaign_counts(campaign, ARGV[4])}
for i, state in ipairs(STATES) do out[2][i] = found[state] or 0 end
local open = out[3][1] + out[3][2] + out[3][3] + out[3][4]
if from == '' and open == 0 and call('HGET', key, 'state') == 'running' then
    if find('running without an open job') then settle(campaign) end
end
if from == '' and not call('ZSCORE', P .. 'campaigns', campaign) then
    if find('not in the list of campaigns') then
        call('ZADD', P .. 'campaigns', call('HGET', key, 'submitted') or now, campaign)
    end
end
for _, value in ipairs(findings) do out[#out + 1] = value end
return out
