-- include: base
-- ARGV: worker
call('DEL', P .. 'worker:' .. ARGV[1])
call('ZREM', P .. 'workers', ARGV[1])
return 'ok'
