-- include: base
-- ARGV: pools... Returns in how many ms there may be something to claim: 0 now, -1 nothing is in sight.
local due
local function at(key)
    local head = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if head[2] then due = math.min(due or math.huge, tonumber(head[2])) end
end
at(P .. 'leases')
for _, pool in ipairs(ARGV) do
    for _, class in ipairs({'urgent', 'batch'}) do
        if call('EXISTS', P .. 'fair:' .. pool .. ':' .. class) == 1 then return 0 end
        at(P .. 'delayed:' .. pool .. ':' .. class)
    end
end
return due and math.max(due - now, 0) or -1
