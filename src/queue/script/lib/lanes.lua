-- include: job
-- on demand: affinity
-- on demand: death
-- on demand: expiry
-- on demand: held
-- Claiming jobs from lanes.

-- Claims the next job of a lane: of the campaign with the least start tag, the oldest job; or, if that has an affinity, one
-- that suits better what the slot `holds` (nil: no matter). Returns false when there is none. It reads two jobs of the
-- campaign's line, so as to know without another call whether one is left (`more`), and loads only what a move of a ready
-- job needs: this is the hottest path of the farm.
local function claim_next(lane, class, worker, lease, holds, claimed)
    local head = call('ZRANGE', P .. 'fair:' .. lane, 0, 0, 'WITHSCORES')
    local campaign = head[1]
    if not campaign then return false end
    local ready = P .. 'ready:' .. lane .. ':' .. campaign
    local oldest = call('ZRANGE', ready, 0, 1)
    local id = campaign .. '/' .. (oldest[1] or '')
    local job = {id = id, key = P .. 'job:' .. id, campaign = campaign, suffix = oldest[1], lane = lane, worker = worker,
        more = oldest[2] ~= nil, tag = head[2] + 1}
    local f = call('HMGET', job.key, 'state', 'attempt', 'affinity', 'passed')
    -- A Redis that lost data has a line without its job. The entry goes, and the next one is tried: each call removes one,
    -- so this ends.
    if not f[1] then
        if oldest[1] then call('ZREM', ready, oldest[1]) else call('ZREM', P .. 'fair:' .. lane, campaign) end
        return claim_next(lane, class, worker, lease, holds, claimed)
    end
    job.state, job.attempt = f[1], tonumber((f[2] or '0'):match('^%d+'))
    job.affinity, job.passed = f[3], f[4]
    if holds and job.affinity then job = affinity().choose(job, holds) end
    if job.passed then call('HDEL', job.key, 'passed') end
    stamp_claim(job, worker)
    move(job, 'leased', now + lease, 'attempt', job.stamp, 'worker', worker, 'claimed', now)
    emit_job(job)
    local n = #claimed
    claimed[n + 1], claimed[n + 2], claimed[n + 3] = job.id, job.stamp, class
    return true
end

-- Whether there is more to look at than the ready jobs of the last class: jobs of a class that goes before it, a delay that
-- may be over, a hold. Mostly there is not, and one EXISTS shows that.
local function is_special(pools, wanted)
    local keys, n = {P .. 'hold'}, 1
    for i, class in ipairs(wanted) do
        for _, pool in ipairs(pools) do
            local name = pool .. ':' .. class
            n = n + 1
            keys[n] = P .. 'delayed:' .. name
            if i < #wanted then
                n = n + 1
                keys[n] = P .. 'fair:' .. name
            end
        end
    end
    return call('EXISTS', unpack(keys)) > 0
end

-- The pools whose class is not held. Jobs whose delay is over become ready first.
local function open_pools(pools, class)
    local open = {}
    for _, pool in ipairs(pools) do
        expiry().promote_delayed(pool .. ':' .. class)
        if held().held_until(pool .. ':' .. class) == 0 then open[#open + 1] = pool end
    end
    return open
end

-- Claims up to `capacity` jobs. `holding`: "" or what the slot holds, behind a space each, at least one space. All of the
-- first class go before any of the second; within a class each pool gives one by turns, so that none starves another.
-- Appends id, stamp and class of each to `claimed`. The caller flushes.
-- Expired leases are returned first: what a dead worker held is then among the jobs that can be claimed.
local function claim_jobs(worker, lease, capacity, pool_names, class_names, holding, claimed)
    if call('ZCOUNT', P .. 'leases', '-inf', now) > 0 then expiry().expire_leases() end
    local pools, wanted, holds = {}, {}, holding ~= '' and {} or nil
    for name in holding:gmatch('%w+') do holds[#holds + 1] = name end
    for pool in pool_names:gmatch('%S+') do pools[#pools + 1] = pool end
    for class in class_names:gmatch('%S+') do wanted[#wanted + 1] = class end
    local special = is_special(pools, wanted)
    local full, turn = #claimed + 3 * capacity, 0
    for i = special and 1 or #wanted, #wanted do
        local open = special and open_pools(pools, wanted[i]) or pools
        local empty = 0
        while empty < #open and #claimed < full do
            local name = open[turn % #open + 1] .. ':' .. wanted[i]
            empty = claim_next(name, wanted[i], worker, lease, holds, claimed) and 0 or empty + 1
            turn = turn + 1
        end
    end
end
