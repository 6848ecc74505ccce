-- include: job
-- include: limits
-- Renews a lease and stores progress.
-- ARGV: job, worker, stamp, lease ms, progress (JSON object or "")
-- Returns "ok"; or why not, and then the lease is not renewed.
-- Progress is stored at every heartbeat, but becomes an event only every PROGRESS_EVENT_MS: streams are kept short.
local PROGRESS_EVENT_MS = 500
local job, refusal = fence(ARGV[1], ARGV[2], ARGV[3])
if not job then return refusal end
-- The lease still holds until it runs out, so that the worker can report the failure.
if now - call('HGET', job.key, 'claimed') > failure_limits(job).longest_run then return 'job.timeout' end
call('ZADD', P .. 'leases', 'XX', now + ARGV[4], job.id)
local progress = ARGV[5]
if progress == '' then return 'ok' end
call('HSET', campaign_key(job.campaign) .. ':progress', job.suffix, progress)
if now - (call('HGET', job.key, 'told') or 0) >= PROGRESS_EVENT_MS then
    call('HSET', job.key, 'told', now)
    emit(job.campaign, 'progress',
        string.format('{"id":"%s","attempt":%d,"progress":%s}', job.id, job.attempt, progress))
end
return 'ok'
