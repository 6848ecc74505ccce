-- include: history
-- Returns {id, seen ms, info, ...} of those whose time to live has not run out; forgets the others.
local out = {}
local all = call('ZRANGE', P .. 'workers', 0, -1, 'WITHSCORES')
for i = 1, #all, 2 do
    local info = call('GET', P .. 'worker:' .. all[i])
    if info then
        for _, value in ipairs({all[i], all[i + 1], info}) do out[#out + 1] = value end
    else
        call('ZREM', P .. 'workers', all[i])
        history_add(all[i], 'lost', all[i + 1])
    end
end
return out
