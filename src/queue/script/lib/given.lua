-- Jobs as arguments give them: (suffix, pool, waits, next or "", affinity or "")...

local GIVEN = 5 -- arguments a job

-- The jobs from argument `first` on, of which there are `number`.
local function given_jobs(first, number)
    local jobs = {}
    for i = first, first + GIVEN * number - 1, GIVEN do
        jobs[#jobs + 1] = {suffix = ARGV[i], pool = ARGV[i + 1], waits = tonumber(ARGV[i + 2]), next = ARGV[i + 3],
            affinity = ARGV[i + 4]}
    end
    return jobs
end
