-- include: base
-- Which job a slot gets that has something loaded already (docs/queue.md, "Affinity").

-- How long the job that would be next is passed over at most. A load takes some ten seconds: within a minute what a slot
-- holds has paid for it, and where jobs queue at all a minute is little.
local AFFINITY_MS = 60000
-- How many campaigns of a lane are looked at, in their order.
local CAMPAIGNS = 8
-- How many jobs a campaign gets ahead of its fair share at most, because slots have loaded what it needs: so between two
-- campaigns a slot loads once in so many jobs, not at each.
local AHEAD = 8

-- The oldest ready job of a campaign that needs one of these affinities, and which one; nil when there is none.
local function oldest_with(lane, campaign, affinities)
    local suffix, affinity, seq = nil, nil, math.huge
    for _, name in ipairs(affinities) do
        local first = call('ZRANGE', P .. 'ready:' .. lane .. ':' .. campaign .. ':' .. name, 0, 0, 'WITHSCORES')
        if first[1] and tonumber(first[2]) < seq then suffix, affinity, seq = first[1], name, tonumber(first[2]) end
    end
    return suffix, affinity
end

-- The first of the campaigns that has a job for what is held: it, its start tag, the job's suffix and affinity.
local function find_held(lane, holds)
    local campaigns = call('ZRANGE', P .. 'fair:' .. lane, 0, CAMPAIGNS - 1, 'WITHSCORES')
    for i = 1, #campaigns, 2 do
        if campaigns[i + 1] - campaigns[2] >= AHEAD then return nil end
        local suffix, affinity = oldest_with(lane, campaigns[i], holds)
        if suffix then return campaigns[i], campaigns[i + 1], suffix, affinity end
    end
end

-- For a slot that has to load something in any case: the affinity of which a job was claimed longest ago is the one that the
-- fewest have loaded. nil when the next job is as good.
local function find_rested(job)
    local key = P .. 'affinities:' .. job.lane .. ':' .. job.campaign
    local rested = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if not rested[1] or tonumber(rested[2]) == tonumber(call('ZSCORE', key, job.affinity) or 0) then return nil end
    return oldest_with(job.lane, job.campaign, {rested[1]})
end

-- The job to claim instead of `job`, the next one of its lane; or that. `holds`: what the slot has loaded.
local function choose(job, holds)
    for _, name in ipairs(holds) do
        if name == job.affinity then return job end
    end
    if job.passed and now - job.passed > AFFINITY_MS then return job end
    local campaign, tag, suffix, affinity = find_held(job.lane, holds)
    if not suffix then
        campaign, tag = job.campaign, job.tag - 1
        suffix, affinity = find_rested(job)
    end
    if not suffix then return job end
    local id = campaign .. '/' .. suffix
    local f = call('HMGET', P .. 'job:' .. id, 'state', 'attempt', 'passed')
    if f[1] ~= 'ready' then return job end -- a Redis that lost data: the audit's business
    if not job.passed then call('HSET', job.key, 'passed', now) end
    return {id = id, key = P .. 'job:' .. id, campaign = campaign, suffix = suffix, lane = job.lane, worker = job.worker,
        tag = tag + 1, state = 'ready', attempt = tonumber((f[2] or '0'):match('^%d+')), affinity = affinity,
        passed = f[3]}
end
