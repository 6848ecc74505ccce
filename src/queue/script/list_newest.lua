-- include: base
-- A page of a sorted set by time, the latest first.
-- ARGV: set, limit, cursor: "<score>/<member>" of the last one seen, or "". The caller has checked its form.
-- Returns {member, score, ...}. Writes nothing. When the last one seen is gone by now, the page begins below its score.
local key, limit, score, member = P .. ARGV[1], tonumber(ARGV[2]), ARGV[3]:match('^(%d+)/(.+)$')
if not score then return call('ZREVRANGE', key, 0, limit - 1, 'WITHSCORES') end
local rank = call('ZREVRANK', key, member)
if rank then return call('ZREVRANGE', key, rank + 1, rank + limit, 'WITHSCORES') end
return call('ZREVRANGEBYSCORE', key, '(' .. score, '-inf', 'WITHSCORES', 'LIMIT', 0, limit)
