-- Every script begins with this: where keys are and what time it is. All keys share the hash tag in KEYS[1], "{farm}:".
--
-- What every script relies on. Redis runs one script at a time, and its writes reach the append-only file and the replicas
-- as one transaction: nobody sees half of a script, and a crash leaves all of it or nothing. But Redis does not roll back
-- a script that fails in the middle. So a script checks all it can before its first write, and a record that is missing is
-- skipped rather than read. The order of the writes matters only where a step reads what an earlier one wrote; that is said
-- there. The time is Redis' own, in ms: no clock of a worker is trusted.
local P = KEYS[1]
local call = redis.call
local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function campaign_key(campaign) return P .. 'campaign:' .. campaign end
