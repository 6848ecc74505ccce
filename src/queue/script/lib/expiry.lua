-- include: job
-- include: limits
-- on demand: death
-- What ends by time: leases whose worker went silent, and delays between retries. At most AT_ONCE of them a call, so that no
-- script is long.

local AT_ONCE = 100

local function contains(list, word) return (' ' .. list .. ' '):find(' ' .. word .. ' ', 1, true) end

-- A lease ran out: its worker crashed, hangs or is cut off. After some different workers, or more crashes in all if a worker
-- keeps its name, the job itself is held to be the cause and dies (poison).
local function expire(job)
    add(P .. 'totals', 'job_crashes', 1)
    local f = call('HMGET', job.key, 'crashes', 'crashed_by')
    local crashes, by = tonumber(f[1] or 0) + 1, f[2] or ''
    if not contains(by, job.worker) then by = (by == '' and '' or by .. ' ') .. job.worker end
    local _, workers = by:gsub('%S+', '')
    local limits = failure_limits(job)
    if workers >= limits.crashed_workers or crashes >= limits.crashes then
        local message = 'attempt ' .. job.attempt .. ' lost its worker; the workers lost were ' .. by
        death().die(job, cjson.encode({code = 'job.crashed', message = message}), 'crashes', crashes, 'crashed_by', by)
    else
        move(job, 'ready', 0, 'crashes', crashes, 'crashed_by', by)
        emit_job(job)
    end
end

-- Returns how many leases had run out.
local function expire_leases()
    local ids = call('ZRANGEBYSCORE', P .. 'leases', '-inf', now, 'LIMIT', 0, AT_ONCE)
    for _, id in ipairs(ids) do
        local job = load_job_id(id)
        -- A death earlier in this loop may have ended the job; a record may be missing from a Redis that lost data.
        if job and job.state == 'leased' then expire(job) else call('ZREM', P .. 'leases', id) end
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
