-- include: job
-- Holds a lane, lets it run against its calendar, or neither.
-- ARGV: field ("lipsync:batch", "lipsync:batch:hand"), until when (held when positive, let run when negative, neither when 0)
-- Returns "ok". A change wakes a worker of the lane, which then waits for the new time.
local field, to = ARGV[1], ARGV[2]
if (call('HGET', P .. 'hold', field) or '0') ~= to then
    if to == '0' then call('HDEL', P .. 'hold', field) else call('HSET', P .. 'hold', field, to) end
    woken[(field:gsub(':hand$', ''))] = true
    flush()
end
return 'ok'
