-- include: base
-- The farm's totals are the hash `totals` plus the text `totals:new` ("frames 240 bytes 1843200 ..."), which the latest
-- finishes have appended to. A finish adds a dozen numbers by one APPEND; when the text is long it is folded into the hash.

-- The sums of the text, {name = sum}.
local function new_totals()
    local sums = {}
    for name, amount in (call('GET', P .. 'totals:new') or ''):gmatch('(%S+) (%d+)') do
        sums[name] = (sums[name] or 0) + amount
    end
    return sums
end

-- The text goes into the hash. Both writes are in one script, so nothing counts twice or is lost.
local function fold_totals()
    for name, amount in pairs(new_totals()) do call('HINCRBY', P .. 'totals', name, amount) end
    call('DEL', P .. 'totals:new')
end
