-- include: recover
-- include: held
-- ARGV: worker, lease ms, how many, pools...
-- Returns {id, stamp, class, id, stamp, class, ...}
local worker, lease, capacity = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local CLASSES = {'urgent', 'batch'}
local pools, claimed = {}, {}
for i = 4, #ARGV do pools[#pools + 1] = ARGV[i] end

expire_leases()
for _, pool in ipairs(pools) do
    for _, class in ipairs(CLASSES) do promote_delayed(pool, class) end
end

-- A worker of several pools takes from them in turn, so that none of them can starve another.
local first = #pools > 1 and call('HINCRBY', P .. 'counts', 'turn', 1) or 0

-- The next job of a pool and class: the campaign with the least start tag, its oldest job.
local function take(pool, class)
    if held_until(pool, class) > 0 then return false end
    local fair = P .. 'fair:' .. pool .. ':' .. class
    local head = call('ZRANGE', fair, 0, 0, 'WITHSCORES')
    if not head[1] then return false end
    local campaign, tag = head[1], tonumber(head[2])
    local job = load_job(campaign, call('ZRANGE', P .. 'ready:' .. pool .. ':' .. campaign, 0, 0)[1])
    call('HSET', P .. 'counts', pool .. ':' .. class .. ':time', tag)
    call('ZADD', fair, tag + 1, campaign)
    stamp_claim(job, worker)
    job.worker = worker
    move(job, 'leased', now + lease, 'attempt', job.stamp, 'worker', worker, 'claimed', now)
    emit_job(job)
    for _, value in ipairs({job.id, job.stamp, class}) do claimed[#claimed + 1] = value end
    return true
end

for _, class in ipairs(CLASSES) do
    local empty = 0
    while empty < #pools and #claimed < 3 * capacity do
        empty = take(pools[first % #pools + 1], class) and 0 or empty + 1
        first = first + 1
    end
end

-- This worker is busy now: whatever is left, or will be due, is for another one to look at (docs/queue.md, waking).
if claimed[1] then
    for _, pool in ipairs(pools) do
        for _, class in ipairs(CLASSES) do
            local left = call('EXISTS', P .. 'fair:' .. pool .. ':' .. class, P .. 'delayed:' .. pool .. ':' .. class)
            if left > 0 then woken[pool] = true end
        end
    end
end
flush()
return claimed
