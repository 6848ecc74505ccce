-- include: death
-- include: blame
-- A job ended in an error. The input's fault kills it. The world's and the worker's delay it, longer each time, and are
-- counted apart: an error, a refusal. It keeps its place.
-- ARGV: job, worker, stamp, error (JSON), fault (input, world or worker), random number in [0, 1)
-- Returns "ok", or why not.
local job, refusal = fence(ARGV[1], ARGV[2], ARGV[3])
if not job then return refusal end
local fault, limits = ARGV[5], failure_limits(job)
local what, by, most = 'errors', 'failed_by', limits.errors
if fault == 'worker' then what, by, most = 'refusals', 'refused_by', limits.refusals end
local number, names, workers = blame(job, what, by)
add(P .. 'totals', 'job_' .. what .. ':' .. job_kind(job.suffix), 1)
if fault == 'input' or is_last(number, workers, most) then
    die(job, ARGV[4], what, number, by, names)
    return 'ok'
end
-- Exponential, with the upper half left to chance, so that jobs that failed together do not return together.
local delay = math.min(limits.first_retry * 2 ^ (number - 1), limits.longest_retry)
delay = math.floor(delay * (0.5 + 0.5 * ARGV[6]))
move(job, 'delayed', now + delay, what, number, by, names, 'due', now + delay)
call('HSET', campaign_key(job.campaign) .. ':errors', job.suffix, ARGV[4])
call('HDEL', campaign_key(job.campaign) .. ':progress', job.suffix)
emit_job(job)
flush()
return 'ok'
