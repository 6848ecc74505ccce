-- include: kind
-- When a job is given up, by its kind: what farm.json says, stored by the server (set_failure.lua), else the defaults.
-- Times in ms.
local function failure_limits(job)
    -- defaults: defaults
    local kind, n = job_kind(job.suffix), {}
    for number in (call('HGET', P .. 'failure', kind) or defaults[kind]):gmatch('%d+') do n[#n + 1] = tonumber(number) end
    return {errors = n[1], first_retry = n[2], longest_retry = n[3], longest_run = n[4], crashed_workers = n[5], crashes = n[6],
        refusals = n[7] or n[1]} -- a server of an older release stores six
end
