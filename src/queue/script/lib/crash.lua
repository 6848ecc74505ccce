-- include: job
-- include: blame
-- on demand: death

-- A job ended its worker or the process that ran it, or its worker went silent; `how` is what is known of it. The job is
-- ready again at its old place. After some different workers, or more crashes in all if a worker keeps its name, the job
-- itself is held to be the cause and dies (poison).
local function crash(job, how)
    add(P .. 'totals', 'job_crashes', 1)
    local crashes, names, workers = blame(job, 'crashes', 'crashed_by')
    local limits, message = failure_limits(job), 'attempt ' .. job.attempt .. ': ' .. how
    local last = workers >= limits.crashed_workers or crashes >= limits.crashes
    if last then message = message .. '; crashed on ' .. names end
    local error = cjson.encode({code = 'job.crashed', message = message})
    if last then
        death().die(job, error, 'crashes', crashes, 'crashed_by', names)
        return
    end
    move(job, 'ready', 0, 'crashes', crashes, 'crashed_by', names)
    call('HSET', campaign_key(job.campaign) .. ':errors', job.suffix, error)
    call('HDEL', campaign_key(job.campaign) .. ':progress', job.suffix)
    emit_job(job)
end
