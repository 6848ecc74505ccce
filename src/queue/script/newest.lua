-- include: base
-- ARGV: set, limit, cursor: "<score>/<member>" or "". Returns {member, score, ...}, the latest first.
local key, limit, score, member = P .. ARGV[1], tonumber(ARGV[2]), ARGV[3]:match('^(%d+)/(.+)$')
if not score then return call('ZREVRANGE', key, 0, limit - 1, 'WITHSCORES') end
local rank = call('ZREVRANK', key, member)
if rank then return call('ZREVRANGE', key, rank + 1, rank + limit, 'WITHSCORES') end
return call('ZREVRANGEBYSCORE', key, '(' .. score, '-inf', 'WITHSCORES', 'LIMIT', 0, limit)
