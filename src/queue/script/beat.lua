-- include: history
-- ARGV: worker, info (JSON), ttl ms
call('SET', P .. 'worker:' .. ARGV[1], ARGV[2], 'PX', ARGV[3])
if call('ZADD', P .. 'workers', now, ARGV[1]) == 1 then history_add(ARGV[1], 'came', now) end
return 'ok'
