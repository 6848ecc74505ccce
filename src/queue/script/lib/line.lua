-- include: base
-- The line of a lane: campaigns with ready jobs, by start tag. Start-time fair queueing (Goyal, Vin, Cheng 1996): a campaign that comes to have ready jobs in a
-- lane starts at the lane's virtual time, or where it left off if that is later. The virtual time is the least tag of
-- those that have ready jobs; when there is none, the tag of the last one that had.

local function enter_fair(lane, campaign)
    local fair = P .. 'fair:' .. lane
    woken[lane] = true
    if call('ZSCORE', fair, campaign) then return end
    local time = call('ZRANGE', fair, 0, 0, 'WITHSCORES')[2] or call('HGET', P .. 'counts', lane .. ':time') or 0
    local tag = call('HGET', campaign_key(campaign), 'tag:' .. lane) or 0
    call('ZADD', fair, math.max(tonumber(time), tonumber(tag)), campaign)
end

local function enter_ready(job)
    call('ZADD', P .. 'ready:' .. job.lane .. ':' .. job.campaign, job.seq, job.suffix)
    enter_fair(job.lane, job.campaign)
end

local function leave_fair(lane, campaign, tag)
    call('ZREM', P .. 'fair:' .. lane, campaign)
    call('HSET', campaign_key(campaign), 'tag:' .. lane, tag)
    if call('EXISTS', P .. 'fair:' .. lane) == 0 then call('HSET', P .. 'counts', lane .. ':time', tag) end
end
