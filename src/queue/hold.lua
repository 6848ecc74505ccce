-- include: job
-- ARGV: pool, field, until when (held when positive, let run when negative, neither when 0).
local pool, field, to = ARGV[1], ARGV[2], ARGV[3]
if (call('HGET', P .. 'hold', field) or '0') ~= to then
    if to == '0' then call('HDEL', P .. 'hold', field) else call('HSET', P .. 'hold', field, to) end
    woken[pool] = true
    flush()
end
return 'ok'
