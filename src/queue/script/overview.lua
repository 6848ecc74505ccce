-- include: counts
-- The farm at a glance, for metrics.
-- ARGV: how many campaigns, pools (with spaces between)
-- Returns how many jobs are dead, how many campaigns are open, then of each of the newest open ones {id, name, jobs by
-- state}. Only the newest LOOKED_AT campaigns are searched for open ones. Writes nothing.
local LOOKED_AT, AT_ONCE = 2000, 200
local campaigns, finished = P .. 'campaigns', P .. 'finished'
local open = call('ZCARD', campaigns) - call('ZCARD', finished)
-- The campaign that the sweep is removing, always the oldest, is not in `campaigns` any more but still in `finished`.
local oldest = call('ZRANGE', finished, 0, 0)[1]
if oldest and not call('ZSCORE', campaigns, oldest) then open = open + 1 end
local out = {call('ZCARD', P .. 'dead'), open}
local most = #out + math.min(ARGV[1], open)
for from = 0, LOOKED_AT - 1, AT_ONCE do
    local ids = #out < most and call('ZREVRANGE', campaigns, from, from + AT_ONCE - 1) or {}
    if not ids[1] then break end
    local ended = call('ZMSCORE', finished, unpack(ids))
    for i, id in ipairs(ids) do
        if not ended[i] and #out < most then
            out[#out + 1] = {id, call('HGET', campaign_key(id), 'name'), campaign_counts(id, ARGV[2])}
        end
    end
end
return out
