-- include: job
-- include: held
-- on demand: death
-- on demand: recover
-- Taking jobs.

-- The next job of a pool and class: the campaign with the least start tag, its oldest job. False when there is none.
local function take(pool, class, worker, lease, claimed)
    local name = pool .. ':' .. class
    if held_until(name) > 0 then return false end
    local fair = P .. 'fair:' .. name
    local head = call('ZRANGE', fair, 0, 0, 'WITHSCORES')
    local campaign = head[1]
    if not campaign then return false end
    classes[campaign] = class
    local oldest = call('ZRANGE', ready_key(pool, campaign), 0, 1)
    local job = oldest[1] and load_job(campaign, oldest[1])
    if not job then -- a Redis that lost data
        if oldest[1] then call('ZREM', ready_key(pool, campaign), oldest[1]) else call('ZREM', fair, campaign) end
        return take(pool, class, worker, lease, claimed)
    end
    job.more, job.tag = oldest[2] ~= nil, head[2] + 1
    stamp_claim(job, worker)
    job.worker = worker
    move(job, 'leased', now + lease, 'attempt', job.stamp, 'worker', worker, 'claimed', now)
    emit_job(job)
    if job.more then woken[name] = woken[name] or false end
    for _, value in ipairs({job.id, job.stamp, class}) do claimed[#claimed + 1] = value end
    return true
end

-- Claims up to `capacity` jobs of these classes, the first one first, from the pools in turn, so that none of them can
-- starve another; the caller flushes. Adds id, stamp and class of each to `claimed`.
local function claim(worker, lease, capacity, pools, wanted, claimed)
    if call('ZCOUNT', P .. 'leases', '-inf', now) > 0 then recover().expire_leases() end
    local lanes, extra, last = {}, {}, nil
    for class in wanted:gmatch('%S+') do
        for i = 1, #lanes do extra[#extra + 1] = P .. 'fair:' .. lanes[i] end
        for _, pool in ipairs(pools) do
            lanes[#lanes + 1] = pool .. ':' .. class
            extra[#extra + 1] = P .. 'delayed:' .. pool .. ':' .. class
        end
        last = class
    end
    -- Mostly nothing is delayed and nothing urgent: one look instead of many.
    local look_at = {last}
    if call('EXISTS', unpack(extra)) > 0 then
        local promote = recover().promote_delayed
        for _, name in ipairs(lanes) do promote(name) end
        look_at = {}
        for class in wanted:gmatch('%S+') do look_at[#look_at + 1] = class end
    end
    local before, turn = #claimed, 0
    for _, class in ipairs(look_at) do
        local empty = 0
        while empty < #pools and #claimed - before < 3 * capacity do
            empty = take(pools[turn % #pools + 1], class, worker, lease, claimed) and 0 or empty + 1
            turn = turn + 1
        end
    end
    if #claimed == before then return end
    -- This worker is busy now: what is left, or will be due, is for another one to look at (docs/queue.md, waking).
    for _, class in ipairs(look_at) do
        for _, pool in ipairs(pools) do
            local name = pool .. ':' .. class
            if woken[name] == nil and call('EXISTS', P .. 'fair:' .. name, P .. 'delayed:' .. name) > 0 then
                woken[name] = false
            end
        end
    end
end
