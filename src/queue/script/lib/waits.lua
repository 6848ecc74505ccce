-- include: job
-- What a job waits for: the jobs that name it as `next` and have yet to end. `waits` is how many these are, in every state:
-- those that are not done, but for dead ones whose death ends nothing else (lib/death.lua).

-- A job that `suffix` waits for has ended. The last one moves it to `state`; the further arguments are fields of its record.
-- Returns whether it, or another job that it waits for, is open.
local function count_down(campaign, suffix, state, ...)
    local key = P .. 'job:' .. campaign .. '/' .. suffix
    local left = call('HINCRBY', key, 'waits', -1)
    -- Whatever ends the others ends this one, and then their finish is refused.
    if left > 0 then return true end
    local job = load_job(campaign, suffix)
    if not job then call('DEL', key) return false end -- a Redis that lost data: HINCRBY has just made an empty record
    if left == 0 and job.state == 'waiting' then move(job, state, 0, ...) end
    return OPEN[job.state]
end
