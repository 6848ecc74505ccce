-- include: finish
-- include: claim
-- ARGV: job, worker, stamp, artifact or "", report, totals ("name amount name amount ... "), lease ms, how many jobs to
-- claim, pools and classes as claim.lua has them, (suffix, pool, waits, next)...
-- Returns {status, id, stamp, class, ...}: what came of the finish, and if it is "ok" what was claimed.
local children = {}
for i = 11, #ARGV, 4 do
    children[#children + 1] = {suffix = ARGV[i], pool = ARGV[i + 1], waits = tonumber(ARGV[i + 2]), next = ARGV[i + 3]}
end
local out = {finish(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], children)}
-- Known: it ran before and its reply was lost, so nobody knows what it claimed; that is not done twice.
-- This worker did not wait, so it took no marker and has none to hand on (docs/queue.md, waking).
if out[1] == 'ok' and ARGV[8] ~= '0' then claim(ARGV[2], ARGV[7], tonumber(ARGV[8]), ARGV[9], ARGV[10], out) end
flush()
if out[1] == 'known' then out[1] = 'ok' end
return out
