-- include: death
-- include: limits
-- A job ended in an error: it is delayed, or dies if the error is permanent or was the last allowed one.
-- ARGV: job, worker, stamp, error (JSON), permanent (0 or 1), random number in [0, 1)
-- Returns "ok", or why not.
local job, refusal = fence(ARGV[1], ARGV[2], ARGV[3])
if not job then return refusal end
local errors = tonumber(call('HGET', job.key, 'errors') or 0) + 1
add(P .. 'totals', 'job_errors:' .. job_kind(job.suffix), 1)
local limits = failure_limits(job)
if ARGV[5] == '1' or errors >= limits.errors then
    die(job, ARGV[4], 'errors', errors)
    return 'ok'
end
-- Exponential, with the upper half left to chance, so that jobs that failed together do not return together.
local delay = math.min(limits.first_retry * 2 ^ (errors - 1), limits.longest_retry)
delay = math.floor(delay * (0.5 + 0.5 * ARGV[6]))
move(job, 'delayed', now + delay, 'errors', errors, 'due', now + delay)
call('HSET', campaign_key(job.campaign) .. ':errors', job.suffix, ARGV[4])
call('HDEL', campaign_key(job.campaign) .. ':progress', job.suffix)
emit_job(job)
flush()
return 'ok'
