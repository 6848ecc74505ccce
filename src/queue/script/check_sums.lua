-- include: index
-- Audits a campaign's sums: recounts all its jobs by state in one script, so that none moves meanwhile. A campaign of more
-- than JOBS_MAX jobs is left out, since Redis answers nobody else while this runs.
-- ARGV: campaign, repair (0 or 1)
-- Returns {finding, campaign, ...}.
local JOBS_MAX = 100000
local campaign, key = ARGV[1], campaign_key(ARGV[1])
if tonumber(call('HGET', key, 'seq') or 0) > JOBS_MAX then return {} end
local found, all, out = {}, 0, {}
each_job(campaign, nil, function(suffix)
    local state = call('HGET', P .. 'job:' .. campaign .. '/' .. suffix, 'state')
    if state then found[state], all = (found[state] or 0) + 1, all + 1 end
end)
-- Leased jobs are what remains of `seq` (lib/counts.lua): so n:lost is right when all jobs add up to it.
found.lost = tonumber(call('HGET', key, 'seq') or 0) - all
for _, state in ipairs({'waiting', 'delayed', 'done', 'dead', 'cancelled', 'lost'}) do
    local by = tonumber(call('HGET', key, 'n:' .. state) or 0) - (found[state] or 0)
    if by ~= 0 then
        out[#out + 1], out[#out + 2] = string.format('%s jobs miscounted by %d', state, by), campaign
        if ARGV[2] == '1' then call('HINCRBY', key, 'n:' .. state, -by) end
    end
end
return out
