-- include: base
-- The order of campaigns within a lane. Start-time fair queueing (Goyal, Vin, Cheng 1996): a campaign that comes to have
-- ready jobs in a lane starts at the lane's virtual time, or where it left off if that is later. The virtual time is the
-- least tag of those that have ready jobs; when there is none, the tag of the last one that had.

-- A campaign has ready jobs in the lane. Wakes a worker in any case; the place in line is kept if it has one already.
local function enter_fair(lane, campaign)
    local fair = P .. 'fair:' .. lane
    woken[lane] = true
    if call('ZSCORE', fair, campaign) then return end
    local time = call('ZRANGE', fair, 0, 0, 'WITHSCORES')[2] or call('HGET', P .. 'counts', lane .. ':time') or 0
    local tag = call('HGET', campaign_key(campaign), 'tag:' .. lane) or 0
    call('ZADD', fair, math.max(tonumber(time), tonumber(tag)), campaign)
end

local function affinity_line(job) return P .. 'ready:' .. job.lane .. ':' .. job.campaign .. ':' .. job.affinity end
local function affinities_key(job) return P .. 'affinities:' .. job.lane .. ':' .. job.campaign end

-- A ready job with an affinity stands in two lines. The affinities of a campaign that have ready jobs are kept by when a job
-- of them was claimed last, 0 for not since they have any.
local function enter_affinity(job)
    call('ZADD', affinity_line(job), job.seq, job.suffix)
    call('ZADD', affinities_key(job), 'NX', 0, job.affinity)
end

local function leave_affinity(job, claimed)
    call('ZREM', affinity_line(job), job.suffix)
    if call('EXISTS', affinity_line(job)) == 0 then
        call('ZREM', affinities_key(job), job.affinity)
    elseif claimed then
        call('ZADD', affinities_key(job), now, job.affinity)
    end
end

local function enter_ready(job)
    call('ZADD', P .. 'ready:' .. job.lane .. ':' .. job.campaign, job.seq, job.suffix)
    if job.affinity then enter_affinity(job) end
    enter_fair(job.lane, job.campaign)
end

-- A campaign has no ready job left in the lane: its tag is kept for when it comes back. When it was the last one, its tag is
-- the virtual time from which the next one starts.
local function leave_fair(lane, campaign, tag)
    if not tag then return end -- the place in line is lost: the audit's business
    call('ZREM', P .. 'fair:' .. lane, campaign)
    call('HSET', campaign_key(campaign), 'tag:' .. lane, tag)
    if call('EXISTS', P .. 'fair:' .. lane) == 0 then call('HSET', P .. 'counts', lane .. ':time', tag) end
end
