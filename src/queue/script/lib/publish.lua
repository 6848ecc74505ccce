-- include: job
-- include: kind
-- include: waits
-- on demand: spawn
-- on demand: death
-- How a job ends well: its artifact is published, the jobs that follow come into being.

-- What a drawn handful adds to the pictures that the campaign has; its report says how many.
local function add_pictures(job, report)
    if job_kind(job.suffix) ~= 'image' then return end
    add(campaign_key(job.campaign), 'drawn', tonumber(report:match('"pictures":(%d+)') or 0))
end

local function end_language(job)
    local language = job_language(job.suffix)
    if not language or job.next then return end
    call('HSET', campaign_key(job.campaign), 'lang:' .. language, 'done')
    death().emit_language(job.campaign, language, 'done')
end

-- Returns "ok", "known" when this very claim has finished the job before, or why not. The caller adds to the totals and
-- flushes.
-- The fence and fresh_ones() come before the first write: a refused finish has changed nothing. settle() comes last: it
-- ends the campaign when nothing is open, so the children and the job that waits must have their new states by then.
local function finish_job(id, worker, stamp, artifact, report, children)
    local job, refusal, was = fence(id, worker, stamp)
    -- The worker sends a finish again when its reply was lost.
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
    if job.attempt > 1 then call('HDEL', key .. ':errors', job.suffix) end -- what ended an earlier one
    move(job, 'done', 0, 'finished', now)
    add_pictures(job, report)
    emit_job(job)
    local open = fresh[1] and spawn().spawn(job.campaign, fresh)
    if job.next then open = count_down(job.campaign, job.next, 'ready') or open end
    end_language(job)
    -- While a job that follows is open the campaign cannot end.
    if not open then death().settle(job.campaign) end
    return 'ok'
end
