-- include: base
-- ARGV: kind, limits in the order of lib/limits.lua with spaces between, kind, limits...
for i = 1, #ARGV, 2 do
    if call('HGET', P .. 'failure', ARGV[i]) ~= ARGV[i + 1] then call('HSET', P .. 'failure', ARGV[i], ARGV[i + 1]) end
end
return 'ok'
