-- include: expiry
-- include: index
-- include: history
-- House-keeping: makes jobs ready whose leases ran out, removes campaigns that have expired; of each a bounded piece a call.
-- ARGV: how long finished campaigns are kept, ms
-- Returns how much there was to do; the caller goes on while it is not 0.
local BUCKETS_AT_ONCE, WORKERS_AT_ONCE = 10, 100
local work = expire_leases()
flush()
-- Killed workers never sign off, and workers.lua, which notes them as lost, runs only when somebody asks who lives. Those that
-- were heard of longest ago come first; behind one that lives most likely all do, and the next sweep looks again.
local workers = call('ZRANGE', P .. 'workers', 0, WORKERS_AT_ONCE - 1, 'WITHSCORES')
for i = 1, #workers, 2 do
    if call('EXISTS', P .. 'worker:' .. workers[i]) == 1 then break end
    call('ZREM', P .. 'workers', workers[i])
    note(workers[i], 'lost', workers[i + 1])
end
local campaign = call('ZRANGEBYSCORE', P .. 'finished', '-inf', now - ARGV[1], 'LIMIT', 0, 1)[1]
if not campaign then return work end
local key = campaign_key(campaign)
-- The record goes first: for everyone else the campaign is gone at once. `finished` keeps it until its last job is gone, so
-- that a sweep which comes later goes on here, and a submit of the same id waits (submit.lua).
call('UNLINK', key, key .. ':results', key .. ':errors', key .. ':progress', key .. ':events')
call('ZREM', P .. 'campaigns', campaign)
for _, bucket in ipairs(call('ZRANGE', index_key(campaign), 0, BUCKETS_AT_ONCE - 1)) do
    for _, suffix in ipairs(call('ZRANGE', bucket_key(campaign, bucket), 0, -1)) do
        call('UNLINK', P .. 'job:' .. campaign .. '/' .. suffix)
        call('ZREM', P .. 'dead', campaign .. '/' .. suffix)
    end
    call('UNLINK', bucket_key(campaign, bucket))
    call('ZREM', index_key(campaign), bucket)
end
if call('EXISTS', index_key(campaign)) == 0 then call('ZREM', P .. 'finished', campaign) end
return work + 1
