-- include: base
-- How many jobs a campaign has in each state. Its record counts those that ended, wait or are delayed, and by `seq` how
-- many there ever were (n:lost: less those whose record a Redis without its data has lost). Ready ones are counted in
-- their lines, and the rest are leased: so a claim need not count.

local STATES = {'waiting', 'ready', 'delayed', 'leased', 'done', 'dead', 'cancelled'}

-- {waiting, ready, ...} in the order of STATES. `pools` with spaces between.
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
