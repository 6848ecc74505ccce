-- include: spawn
-- Leases a job whose result is in the store to whoever restores it, also if a worker holds it; an ordinary finish then
-- publishes the result. Creates the job when Redis has lost it.
-- ARGV: job, pool, next or "", restorer, lease ms, dry run (0 or 1), affinity or ""
-- Returns {how, stamp}. how: adopted; open, only in a dry run; done; ended (the job, its language or its campaign); busy:
-- another restorer holds it; or an error's name.
-- Writes the job first if it is missing, then its lease. A job that another one waits for is created only if that one
-- exists, so that its finish has what to count down.
local campaign, suffix = ARGV[1]:match('^([^/]+)/(.+)$')
local key, language = campaign_key(campaign), job_language(suffix)
local state = call('HGET', key, 'state')
if not state and ARGV[6] == '1' then return {'open', ''} end
if not state then return {'queue.not_found', ''} end
local job = load_job(campaign, suffix)
if job and job.state == 'done' then return {'done', ''} end
if state ~= 'running' or job and (job.state == 'dead' or job.state == 'cancelled') or
    language and call('HGET', key, 'by:' .. language) then return {'ended', ''} end
if job and job.state == 'leased' and job.worker:find('^restore%-') and
    tonumber(call('ZSCORE', P .. 'leases', job.id) or 0) > now then return {'busy', ''} end
if ARGV[6] == '1' then return {'open', ''} end
if not job then
    if ARGV[3] ~= '' and not load_job(campaign, ARGV[3]) then return {'queue.state', ''} end
    spawn(campaign, {{suffix = suffix, pool = ARGV[2], waits = 0, next = ARGV[3], affinity = ARGV[7]}})
    job = load_job(campaign, suffix)
end
stamp_claim(job, ARGV[4])
job.worker = ARGV[4]
move(job, 'leased', now + ARGV[5], 'attempt', job.stamp, 'worker', job.worker, 'claimed', now)
flush()
return {'adopted', job.stamp}
