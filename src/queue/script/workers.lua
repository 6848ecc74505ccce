-- include: history
-- Who lives.
-- Returns {id, when it was last heard of, what it says of itself, ...} of the workers whose time to live has not run out; the
-- others are removed and noted as lost, so each is noted once.
local out = {}
local all = call('ZRANGE', P .. 'workers', 0, -1, 'WITHSCORES')
for i = 1, #all, 2 do
    local info = call('GET', P .. 'worker:' .. all[i])
    if info then
        for _, value in ipairs({all[i], all[i + 1], info}) do out[#out + 1] = value end
    else
        call('ZREM', P .. 'workers', all[i])
        note(all[i], 'lost', all[i + 1])
    end
end
return out
