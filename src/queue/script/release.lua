-- include: job
-- Gives a job back unharmed: it is ready again, at its old place.
-- ARGV: job, worker, stamp
-- Returns "ok", or why not.
local job, refusal = fence(ARGV[1], ARGV[2], ARGV[3])
if not job then return refusal end
move(job, 'ready', 0)
call('HDEL', campaign_key(job.campaign) .. ':progress', job.suffix)
emit_job(job)
flush()
return 'ok'
