-- include: job
-- include: crash
-- What ends by time: leases whose worker went silent, and delays between retries. At most AT_ONCE of them a call, so that no
-- script is long.

local AT_ONCE = 100

-- Returns how many leases had run out.
local function expire_leases()
    local ids = call('ZRANGEBYSCORE', P .. 'leases', '-inf', now, 'LIMIT', 0, AT_ONCE)
    for _, id in ipairs(ids) do
        local job = load_job_id(id)
        -- A death earlier in this loop may have ended the job; a record may be missing from a Redis that lost data.
        if job and job.state == 'leased' then crash(job, 'its worker went silent') else call('ZREM', P .. 'leases', id) end
    end
    return #ids
end

-- The jobs of a lane whose delay is over become ready.
local function promote_delayed(lane)
    local key = P .. 'delayed:' .. lane
    for _, id in ipairs(call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, AT_ONCE)) do
        local job = load_job_id(id)
        if job and job.state == 'delayed' then move(job, 'ready', 0) else call('ZREM', key, id) end
    end
end
