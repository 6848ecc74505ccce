-- include: death
-- ARGV: job, worker, stamp, artifact or "", report, number of totals, (name, amount)...,
-- (suffix, pool, waits, next)...
local job, refusal, was = fence(ARGV[1], ARGV[2], ARGV[3])
-- The same finish again: its reply was lost.
if was and was.state == 'done' then return 'ok' end
if not job then return refusal end

local key = campaign_key(job.campaign)
local first_child = 7 + 2 * ARGV[6]
local fresh, known = {}, {}
local function exists(suffix)
    if known[suffix] == nil then known[suffix] = call('EXISTS', P .. 'job:' .. job.campaign .. '/' .. suffix) == 1 end
    return known[suffix]
end
for i = first_child, #ARGV, 4 do
    if not exists(ARGV[i]) then
        fresh[#fresh + 1] = {suffix = ARGV[i], pool = ARGV[i + 1], waits = tonumber(ARGV[i + 2]), next = ARGV[i + 3]}
    end
end
for _, child in ipairs(fresh) do known[child.suffix] = true end
for _, child in ipairs(fresh) do
    if child.next ~= '' and not exists(child.next) then return 'queue.state' end
end
local next_job = job.next and load_job(job.campaign, job.next)

if ARGV[4] ~= '' then call('HSET', key .. ':artifacts', job.suffix, ARGV[4]) end
call('HSET', key .. ':reports', job.suffix, ARGV[5])
call('HDEL', key .. ':progress', job.suffix)
call('HDEL', key .. ':errors', job.suffix)
move(job, 'done', 0, 'finished', now)
emit_job(job)
add(P .. 'totals', 'jobs_done:' .. job_kind(job.suffix), 1)
for i = 7, first_child - 1, 2 do add(P .. 'totals', ARGV[i], ARGV[i + 1]) end

if #fresh > 0 then
    local seq = call('HINCRBY', key, 'seq', #fresh) - #fresh
    for i, child in ipairs(fresh) do
        -- A language that has failed takes no new work; should it be revived, this job is too.
        local language = job_language(child.suffix)
        local ended_by = language and call('HGET', key, 'by:' .. language)
        create(job.campaign, child.suffix, child.pool, seq + i, child.waits, child.next, ended_by or nil)
    end
end
if next_job then
    next_job.waits = call('HINCRBY', next_job.key, 'waits', -1)
    if next_job.waits == 0 and next_job.state == 'waiting' then move(next_job, 'ready', 0) end
end
local language = job_language(job.suffix)
if language and not job.next then
    call('HSET', key, 'lang:' .. language, 'done')
    emit_language(job.campaign, language, 'done')
end
settle(job.campaign)
return 'ok'
