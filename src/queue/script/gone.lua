-- include: history
-- A worker signs off.
-- ARGV: worker
-- Returns "ok".
call('DEL', P .. 'worker:' .. ARGV[1])
if call('ZREM', P .. 'workers', ARGV[1]) == 1 then note(ARGV[1], 'gone', now) end
return 'ok'
