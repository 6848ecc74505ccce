-- include: base
-- How many jobs a campaign has in each state. Its record counts those that wait, are delayed or have ended; `seq` is how
-- many there ever were, and n:lost how many of these lost their record together with a Redis. The ready ones are counted
-- by the length of their lines, and what remains is leased. So a claim, the most frequent move, counts nothing here.

local STATES = {'waiting', 'ready', 'delayed', 'leased', 'done', 'dead', 'cancelled'}

-- {waiting, ready, ...} in the order of STATES. `pools`: all pools, with spaces between.
local function campaign_counts(campaign, pools)
    local f = call('HMGET', campaign_key(campaign), 'n:waiting', 'class', 'n:delayed', 'seq', 'n:done', 'n:dead',
        'n:cancelled', 'n:lost')
    local out, counted = {}, tonumber(f[8] or 0)
    for i in ipairs(STATES) do out[i] = tonumber(f[i]) or 0 end
    out[2], out[4] = 0, 0
    for pool in pools:gmatch('%S+') do
        out[2] = out[2] + call('ZCARD', P .. 'ready:' .. pool .. ':' .. (f[2] or '') .. ':' .. campaign)
    end
    for i in ipairs(STATES) do counted = counted + out[i] end
    out[4] = tonumber(f[4] or 0) - counted
    return out
end
