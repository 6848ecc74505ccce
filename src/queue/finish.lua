-- include: finish
-- include: claim
-- ARGV: job, worker, stamp, artifact or "", report, lease ms, how many jobs to claim, pools and classes as
-- claim.lua has them, number of totals, (name, amount)..., (suffix, pool, waits, next)...
-- Returns {status, id, stamp, class, ...}: what came of the finish, and if it is "ok" what was claimed.
local totals, children, pools = {}, {}, {}
local first_child = 11 + 2 * ARGV[10]
for i = 11, first_child - 1 do totals[#totals + 1] = ARGV[i] end
for i = first_child, #ARGV, 4 do
    children[#children + 1] = {suffix = ARGV[i], pool = ARGV[i + 1], waits = tonumber(ARGV[i + 2]), next = ARGV[i + 3]}
end
local out = {finish(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], totals, children)}
-- Known: it ran before and its reply was lost, so nobody knows what it claimed; that is not done twice.
if out[1] == 'ok' and ARGV[7] ~= '0' then
    for pool in ARGV[8]:gmatch('%S+') do pools[#pools + 1] = pool end
    claim(ARGV[2], tonumber(ARGV[6]), tonumber(ARGV[7]), pools, ARGV[9], out)
end
flush()
if out[1] == 'known' then out[1] = 'ok' end
return out
