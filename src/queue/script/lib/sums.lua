-- include: base
-- The farm's totals: the hash `totals`, and in the text `totals:new` ("frames 240 bytes 1843200 ...") what the latest
-- finishes have added. A finish appends its dozen numbers in one call; when the text is long it is added to the hash.

-- Adds up the text, {name = sum}.
local function new_totals()
    local sums = {}
    for name, amount in (call('GET', P .. 'totals:new') or ''):gmatch('(%S+) (%d+)') do
        sums[name] = (sums[name] or 0) + amount
    end
    return sums
end

local function fold_totals()
    for name, amount in pairs(new_totals()) do call('HINCRBY', P .. 'totals', name, amount) end
    call('DEL', P .. 'totals:new')
end
