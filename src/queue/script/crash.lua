-- include: crash
-- The process that ran a job has died, as the worker that lives on found out.
-- ARGV: job, worker, stamp, what is known of it
-- Returns "ok", or why not.
local job, refusal = fence(ARGV[1], ARGV[2], ARGV[3])
if not job then return refusal end
crash(job, ARGV[4])
flush()
return 'ok'
