-- include: claim
-- ARGV: worker, lease ms, how many, pools (with spaces between, the one whose turn it is first), classes (the same)
-- Returns {id, stamp, class, id, stamp, class, ...}
local pools, claimed = {}, {}
for pool in ARGV[4]:gmatch('%S+') do pools[#pools + 1] = pool end
claim(ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), pools, ARGV[5], claimed)
flush()
return claimed
