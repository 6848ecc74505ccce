-- include: kind
-- When a job of this kind is given up: what the server stored from farm.json, else farm/kinds.def. Times in ms.
local function failure_limits(job)
    -- defaults: defaults
    local kind, n = job_kind(job.suffix), {}
    for number in (call('HGET', P .. 'failure', kind) or defaults[kind]):gmatch('%d+') do n[#n + 1] = tonumber(number) end
    return {errors = n[1], first_retry = n[2], longest_retry = n[3], longest_run = n[4], crashed_workers = n[5], crashes = n[6]}
end
