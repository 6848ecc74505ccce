-- include: history
-- ARGV: worker
call('DEL', P .. 'worker:' .. ARGV[1])
if call('ZREM', P .. 'workers', ARGV[1]) == 1 then history_add(ARGV[1], 'gone', now) end
return 'ok'
