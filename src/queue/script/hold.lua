-- include: job
-- ARGV: field, until when (held when positive, let run when negative, neither when 0).
local field, to = ARGV[1], ARGV[2]
if (call('HGET', P .. 'hold', field) or '0') ~= to then
    if to == '0' then call('HDEL', P .. 'hold', field) else call('HSET', P .. 'hold', field, to) end
    woken[(field:gsub(':hand$', ''))] = true
    flush()
end
return 'ok'
