-- include: history
-- A worker lives.
-- ARGV: worker, what it says of itself (JSON), ms until it counts as lost
-- Returns "ok".
call('SET', P .. 'worker:' .. ARGV[1], ARGV[2], 'PX', ARGV[3])
if call('ZADD', P .. 'workers', now, ARGV[1]) == 1 then note(ARGV[1], 'came', now) end
return 'ok'
