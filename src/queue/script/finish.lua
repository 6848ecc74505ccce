-- include: finishing
-- include: claiming
-- on demand: sums
-- ARGV: worker, lease ms, how many jobs to claim, pools and classes as claim.lua has them; for each job that is done: job,
-- stamp, artifact or "", report, what it adds to the totals ("name amount name amount ... "), number of children,
-- (suffix, pool, waits, next)...
-- Returns {status of each, id, stamp, class of what was claimed, ...}. Each finish is checked whole before it writes, and one
-- that is refused leaves the others as they are; what they add to the totals is written once, behind them.
local NEW_TOTALS_MAX = 8192
local worker, out, added, i = ARGV[1], {}, '', 6
local any, known = false, false
while ARGV[i] do
    local children, first, last = {}, i + 6, i + 5 + 4 * ARGV[i + 5]
    for j = first, last, 4 do
        children[#children + 1] = {suffix = ARGV[j], pool = ARGV[j + 1], waits = tonumber(ARGV[j + 2]), next = ARGV[j + 3]}
    end
    local status = finish(ARGV[i], worker, ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], children)
    if status == 'ok' then
        any, added = true, added .. ARGV[i + 4]
    elseif status == 'known' then
        known, status = true, 'ok'
    end
    out[#out + 1] = status
    i = last + 1
end
if any and call('APPEND', P .. 'totals:new', added) > NEW_TOTALS_MAX then sums().fold_totals() end
-- A known finish ran before, and its reply was lost: what it claimed then is leased to nobody who knows of it, so this time it
-- claims nothing. The worker was busy, so it took no marker and passes none on (docs/queue.md, waking).
if any and not known and ARGV[3] ~= '0' then claim(worker, ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], out) end
flush()
return out
