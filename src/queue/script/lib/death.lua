-- include: job
-- include: index
-- include: kind
-- include: waits
-- How jobs and campaigns end. A dead plan or track ends its campaign, a dead dub or join its language; once no language is
-- left the rest of the campaign ends too. A dead image or sheet ends nothing else: the sheet goes on with the other pictures,
-- unless there is none. Each job that a death ended has the dead job's suffix in `by`, so that a retry revives exactly those.

local DEAD_KEPT = 1000

-- Cancels the open jobs of a language, or of the campaign when it is nil. `by`: the dead job's suffix; "" for a user's
-- cancel.
local function end_jobs(campaign, language, by)
    each_job(campaign, language, function(suffix)
        local job = load_job(campaign, suffix)
        if job and OPEN[job.state] then move(job, 'cancelled', 0, 'finished', now, 'by', by) end
    end)
end

local function emit_language(campaign, language, state)
    emit_campaign(campaign, string.format('{"id":"%s","state":"running","language":"%s","language_state":"%s"}',
        campaign, language, state))
end

local function end_campaign(campaign, state)
    local key = campaign_key(campaign)
    call('HSET', key, 'state', state, 'finished', now)
    call('ZADD', P .. 'finished', now, campaign)
    call('DEL', key .. ':progress')
    call('HINCRBY', P .. 'totals', 'campaigns_ended:' .. state, 1)
    emit_campaign(campaign, string.format('{"id":"%s","state":"%s"}', campaign, state))
end

-- How many languages of a campaign have this state, and how many there are.
local function languages_in(campaign, state)
    local key, number, of = campaign_key(campaign), 0, 0
    for language in (call('HGET', key, 'languages') or ''):gmatch('%S+') do
        of = of + 1
        if call('HGET', key, 'lang:' .. language) == state then number = number + 1 end
    end
    return number, of
end

-- Whether the death of a job ends no other one.
local function dies_alone(suffix)
    -- alone: kinds
    return kinds[job_kind(suffix)]
end

-- Ends the campaign if no job of it is open any more. The sums are flushed first, because they say so.
local function settle(campaign)
    flush()
    local f = call('HMGET', campaign_key(campaign), 'state', 'ended_by', 'seq', 'n:done', 'n:dead', 'n:cancelled', 'n:lost')
    local ended = (f[4] or 0) + (f[5] or 0) + (f[6] or 0) + (f[7] or 0)
    if f[1] ~= 'running' or ended < tonumber(f[3] or 0) then return end
    local done, of = languages_in(campaign, 'done')
    local nothing, all = (f[4] or '0') == '0', done == of and (f[5] or '0') == '0'
    end_campaign(campaign, (f[2] or nothing) and 'failed' or all and 'done' or 'partial')
end

-- What waits for a job that died alone does so no longer. When nothing that it waited for is done, it ends too.
local function leave_out(job)
    if not job.next then return end
    flush()
    if (call('HGET', campaign_key(job.campaign), 'n:done') or '0') ~= '0' then
        count_down(job.campaign, job.next, 'ready')
    else
        count_down(job.campaign, job.next, 'cancelled', 'finished', now, 'by', job.suffix)
    end
end

-- Ends a dead job's language, or its campaign. The job has moved before: end_jobs() would cancel it with the others.
local function end_with(job)
    local key, language = campaign_key(job.campaign), job_language(job.suffix)
    local all = not language
    if language then
        call('HSET', key, 'lang:' .. language, 'failed', 'by:' .. language, job.suffix)
        end_jobs(job.campaign, language, job.suffix)
        emit_language(job.campaign, language, 'failed')
        local failed, of = languages_in(job.campaign, 'failed')
        all = failed == of
    end
    if all then
        call('HSET', key, 'ended_by', job.suffix)
        end_jobs(job.campaign, nil, job.suffix)
    end
end

-- Kills a job, and ends what its death ends. `error`: a JSON object with code and message; the further arguments are fields
-- of the record. settle() comes last, when all is counted.
local function die(job, error, ...)
    local key = campaign_key(job.campaign)
    move(job, 'dead', 0, 'finished', now, ...)
    call('HSET', key .. ':errors', job.suffix, error)
    call('HDEL', key .. ':progress', job.suffix)
    call('ZADD', P .. 'dead', now, job.id)
    call('ZREMRANGEBYRANK', P .. 'dead', 0, -1 - DEAD_KEPT)
    add(P .. 'totals', 'jobs_failed:' .. job_kind(job.suffix), 1)
    emit_job(job)
    if dies_alone(job.suffix) then leave_out(job) else end_with(job) end
    settle(job.campaign)
end
