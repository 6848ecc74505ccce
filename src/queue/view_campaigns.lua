-- include: held
-- ARGV: campaign ids. Returns for each {record, {language, job that ended it, its error, ...}, until when ready jobs of it
-- are held}.
local out = {}
local holds = call('HKEYS', P .. 'hold')

-- The latest of the pools in which it has ready jobs; 0 when nothing of it is held.
local function waits_until(campaign)
    local class, latest = call('HGET', campaign_key(campaign), 'class'), 0
    for _, name in ipairs(holds) do
        local pool, of = name:match('^(%w+):(%w+)')
        if of == class and call('EXISTS', P .. 'ready:' .. pool .. ':' .. campaign) == 1 then
            latest = math.max(latest, held_until(pool, class))
        end
    end
    return latest
end

for i, campaign in ipairs(ARGV) do
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
    out[i] = {call('HGETALL', key), ends, waits_until(campaign)}
end
return out
