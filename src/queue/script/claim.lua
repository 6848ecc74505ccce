-- include: lanes
-- Claims ready jobs.
-- ARGV: worker, lease ms, how many, pools (with spaces between, the first one gives first), classes (the same),
-- what the slot holds (lib/lanes.lua)
-- Returns {id, stamp, class, id, stamp, class, ...}.
local claimed = {}
claim_jobs(ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6], claimed)
-- This worker may have popped the marker that told of several jobs. It is busy now, so it sets the markers of its lanes again
-- if ready or delayed jobs are left: another worker wakes and watches (docs/queue.md, waking).
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
