-- include: base
-- ARGV: worker, info (JSON), ttl ms
call('SET', P .. 'worker:' .. ARGV[1], ARGV[2], 'PX', ARGV[3])
call('ZADD', P .. 'workers', now, ARGV[1])
return 'ok'
