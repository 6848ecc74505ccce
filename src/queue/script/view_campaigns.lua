-- include: counts
-- include: held
-- Campaigns as the API shows them.
-- ARGV: pools (with spaces between), campaign ids...
-- Returns for each {record, {language, job that ended it, its error, ...}, jobs by state, until when ready jobs of it are
-- held, 0 when none is}; an empty record when there is no such campaign. Writes nothing.
local out = {}
local holds = call('HKEYS', P .. 'hold')

-- The latest time of the held lanes in which it has ready jobs; 0 when nothing of it is held.
local function waits_until(campaign)
    local class, latest = call('HGET', campaign_key(campaign), 'class'), 0
    for _, name in ipairs(holds) do
        local lane = name:match('^%w+:%w+')
        if lane:match('%w+$') == class and call('EXISTS', P .. 'ready:' .. lane .. ':' .. campaign) == 1 then
            latest = math.max(latest, held_until(lane))
        end
    end
    return latest
end

for i = 2, #ARGV do
    local campaign = ARGV[i]
    local key = campaign_key(campaign)
    local all = call('HMGET', key, 'languages', 'ended_by')
    local ends = {}
    for language in (all[1] or ''):gmatch('%S+') do
        local by = call('HGET', key, 'by:' .. language) or all[2]
        if by then
            local error = call('HGET', key .. ':errors', by) or ''
            for _, value in ipairs({language, campaign .. '/' .. by, error}) do ends[#ends + 1] = value end
        end
    end
    out[i - 1] = {call('HGETALL', key), ends, campaign_counts(campaign, ARGV[1]), waits_until(campaign)}
end
return out
