-- include: claiming
-- ARGV: worker, lease ms, how many, pools (with spaces between, the one whose turn it is first), classes (the same)
-- Returns {id, stamp, class, id, stamp, class, ...}
local claimed = {}
claim(ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], claimed)
-- This worker may have taken a marker. If jobs are left, or will be due, another worker has to be woken for them: so the
-- marker is set again (docs/queue.md, waking).
if claimed[1] then
    for class in ARGV[5]:gmatch('%S+') do
        for pool in ARGV[4]:gmatch('%S+') do
            local name = pool .. ':' .. class
            if not woken[name] and call('EXISTS', P .. 'fair:' .. name, P .. 'delayed:' .. name) > 0 then
                woken[name] = false
            end
        end
    end
end
flush()
return claimed
