-- include: totals
-- The farm's totals.
-- Returns {name, sum, ...}. Writes nothing, so that it answers when memory is full too.
local sums, out = new_totals(), {}
local old = call('HGETALL', P .. 'totals')
for i = 1, #old, 2 do sums[old[i]] = (sums[old[i]] or 0) + old[i + 1] end
for name, sum in pairs(sums) do out[#out + 1], out[#out + 2] = name, string.format('%.0f', sum) end
return out
