-- include: job
-- on demand: spawn
-- on demand: death
-- A job's good end.

-- One job less to wait for. Returns whether the one that waits is open: while there are others, it is, since whatever
-- ends it ends them too.
local function count_down(campaign, suffix)
    local key = P .. 'job:' .. campaign .. '/' .. suffix
    local left = call('HINCRBY', key, 'waits', -1)
    if left > 0 then return true end
    local job = load_job(campaign, suffix)
    if not job then call('DEL', key) return false end -- a Redis that lost data
    if left == 0 and job.state == 'waiting' then move(job, 'ready', 0) end
    return OPEN[job.state]
end

local function end_language(job)
    local language = job_language(job.suffix)
    if not language or job.next then return end
    call('HSET', campaign_key(job.campaign), 'lang:' .. language, 'done')
    death().emit_language(job.campaign, language, 'done')
end

-- Returns "ok", "known" when it was finished by this very claim before, or why not; the caller adds to the totals and
-- flushes.
local function finish(id, worker, stamp, artifact, report, children)
    local job, refusal, was = fence(id, worker, stamp)
    -- The same finish again: its reply was lost.
    if was and was.state == 'done' then return 'known' end
    if not job then return refusal end
    local fresh = children
    if children[1] then fresh = spawn().fresh_ones(job.campaign, children) end
    if not fresh then return 'queue.state' end

    local key = campaign_key(job.campaign)
    if artifact ~= '' then
        call('HSET', key .. ':results', job.suffix, report, job.suffix .. ':artifact', artifact)
    else
        call('HSET', key .. ':results', job.suffix, report)
    end
    if job.told then call('HDEL', key .. ':progress', job.suffix) end
    if job.errors then call('HDEL', key .. ':errors', job.suffix) end
    move(job, 'done', 0, 'finished', now)
    emit_job(job)
    local open = fresh[1] and spawn().spawn(job.campaign, fresh)
    if job.next then open = count_down(job.campaign, job.next) or open end
    end_language(job)
    -- While a job that follows is open the campaign cannot end: no need to look.
    if not open then death().settle(job.campaign) end
    return 'ok'
end
