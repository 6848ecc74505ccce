-- include: held
-- In how many ms there may be something to claim.
-- ARGV: lanes ("lipsync:batch")...
-- Returns ms; 0: now; -1: nothing is in sight. Writes nothing.
local due
local function at(time) due = math.min(due or math.huge, tonumber(time)) end
local function at_head(key, not_before)
    local head = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if head[2] then at(math.max(head[2], not_before)) end
end
at_head(P .. 'leases', 0)
for _, lane in ipairs(ARGV) do
    local held = held_until(lane)
    if call('EXISTS', P .. 'fair:' .. lane) == 1 then
        if held == 0 then return 0 end
        at(held)
    end
    at_head(P .. 'delayed:' .. lane, held)
end
return due and math.max(due - now, 0) or -1
