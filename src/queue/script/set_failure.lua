-- include: base
-- Stores when jobs are given up. Writes only what differs, so that a server may call it every second.
-- ARGV: kind, limits in the order of lib/limits.lua with spaces between, kind, limits...
-- Returns "ok".
for i = 1, #ARGV, 2 do
    if call('HGET', P .. 'failure', ARGV[i]) ~= ARGV[i + 1] then call('HSET', P .. 'failure', ARGV[i], ARGV[i + 1]) end
end
return 'ok'
