-- include: death
-- Revives a dead job and whatever its death ended.
-- ARGV: job
-- Returns {"ok", ""}, or {why not, what is in the way for queue.state}.
-- The job moves first, then those that its death ended; the language and the campaign are open again last. All of
-- it is one script, so nobody claims a job of a campaign that has ended.
local job = load_job_id(ARGV[1])
local key = job and campaign_key(job.campaign)
local campaign = job and call('HMGET', key, 'state', 'ended_by')

-- What waits for the job waits for it again, unless it runs already or has ended by itself.
local function count_up(job)
    local other = job.next and load_job(job.campaign, job.next)
    if not other then return end
    other.waits = call('HINCRBY', other.key, 'waits', 1)
    if other.state == 'cancelled' then call('HDEL', other.key, 'by', 'finished') end
    if other.state == 'ready' or other.state == 'delayed' or other.state == 'cancelled' then move(other, 'waiting', 0) end
end

-- The jobs that the job's death ended, of a language, or of the whole campaign when it is nil.
local function revive_ended(job, language)
    each_job(job.campaign, language, function(suffix)
        local other = load_job(job.campaign, suffix)
        if other and other.state == 'cancelled' and call('HGET', other.key, 'by') == job.suffix then
            call('HDEL', other.key, 'by', 'finished')
            move(other, 'ready', 0)
        end
    end)
end

if not job or not campaign[1] then return {'queue.not_found', ''} end
if job.state ~= 'dead' then return {'queue.state', 'it is ' .. job.state} end
if campaign[1] == 'cancelled' then return {'queue.state', 'its campaign was cancelled'} end
local ended_by = campaign[2]
if ended_by and ended_by ~= job.suffix then
    return {'queue.state', string.format('its campaign ended by %s/%s; retry that first', job.campaign, ended_by)}
end

local language = job_language(job.suffix)
call('HDEL', job.key, 'errors', 'failed_by', 'refusals', 'refused_by', 'crashes', 'crashed_by', 'finished')
call('HDEL', key .. ':errors', job.suffix)
call('ZREM', P .. 'dead', job.id)
move(job, 'ready', 0)
if dies_alone(job.suffix) then count_up(job) else revive_ended(job, not ended_by and language or nil) end
if language then call('HDEL', key, 'lang:' .. language, 'by:' .. language) end
call('HDEL', key, 'finished', 'ended_by')
call('HSET', key, 'state', 'running')
call('ZREM', P .. 'finished', job.campaign)
emit_job(job)
emit_campaign(job.campaign, string.format('{"id":"%s","state":"running"}', job.campaign))
flush()
return {'ok', ''}
