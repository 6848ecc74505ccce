-- include: held
-- How much a pool has to do.
-- ARGV: pool, due within ms
-- Returns ready, leased, delayed of urgent and of batch, then the age in ms of the oldest ready job that may begin, then
-- until when urgent and batch are held. Writes nothing. The age is that of the heads of at most HEADS_MAX campaigns.
local HEADS_MAX = 1000
local pool, out, held, oldest = ARGV[1], {}, {}, now
for _, class in ipairs({'urgent', 'batch'}) do
    local name = pool .. ':' .. class
    local counts = call('HMGET', P .. 'counts', name .. ':ready', name .. ':leased')
    out[#out + 1] = tonumber(counts[1] or 0)
    out[#out + 1] = tonumber(counts[2] or 0)
    out[#out + 1] = call('ZCOUNT', P .. 'delayed:' .. name, '-inf', now + ARGV[2])
    held[#held + 1] = held_until(name)
    local heads = held[#held] == 0 and call('ZRANGE', P .. 'fair:' .. name, 0, HEADS_MAX - 1) or {}
    for _, campaign in ipairs(heads) do
        local suffix = call('ZRANGE', P .. 'ready:' .. name .. ':' .. campaign, 0, 0)[1]
        local since = suffix and call('HMGET', P .. 'job:' .. campaign .. '/' .. suffix, 'ready', 'created') or {}
        oldest = math.min(oldest, tonumber(since[1] or since[2] or now))
    end
end
out[7] = now - oldest
out[8], out[9] = held[1], held[2]
return out
