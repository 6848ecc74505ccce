-- Every script: where keys live and what time it is. All keys share the hash tag in KEYS[1], "{farm}:".
local P = KEYS[1]
local call = redis.call
local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function campaign_key(campaign) return P .. 'campaign:' .. campaign end
