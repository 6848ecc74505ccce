-- include: job
-- include: index
-- New jobs. Many at once share calls: a hundred members of a sorted set are added together.

-- The children that do not exist yet; nil when one of them leads to a job that neither exists nor is among them. Writes
-- nothing.
local function fresh_ones(campaign, children)
    local fresh, known = {}, {[''] = true}
    local function key(suffix) return P .. 'job:' .. campaign .. '/' .. suffix end
    -- One EXISTS for a hundred: all of them are new, unless a finish is repeated or a restored job had some already.
    for from = 1, #children, 100 do
        local keys = {}
        for i = from, math.min(from + 99, #children) do keys[#keys + 1] = key(children[i].suffix) end
        local some = call('EXISTS', unpack(keys)) > 0
        for i = from, from + #keys - 1 do
            local child = children[i]
            if not (some and call('EXISTS', key(child.suffix)) == 1) then fresh[#fresh + 1] = child end
            known[child.suffix] = true
        end
    end
    for _, child in ipairs(fresh) do
        if not known[child.next] and call('EXISTS', key(child.next)) == 0 then return nil end
        known[child.next] = true
    end
    return fresh
end

-- Children are {suffix, pool, waits, next or "", affinity or ""}; none of them may exist yet (fresh_ones). In a language that
-- has failed they are born cancelled, `by` the job that ended it; so a retry of that job revives them too. Returns whether
-- one is open.
-- Records come first, then the index and the lines that name them, then the sums, then the place in the lane.
local function spawn(campaign, children)
    local PIECE = 200
    local members, ends, buckets, numbers, affinities, open = {}, {}, {}, {}, {}, false
    local class = call('HGET', campaign_key(campaign), 'class')
    local function write_members(key)
        call('ZADD', key, unpack(members[key]))
        members[key] = nil
    end
    local function put_member(key, score, member)
        local list = members[key] or {}
        members[key] = list
        list[#list + 1], list[#list + 2] = score, member
        if #list == PIECE then write_members(key) end
    end
    -- The dead job that ended the child's language, or false.
    local function ended_by(suffix)
        local language = job_language(suffix)
        if not language then return false end
        if ends[language] == nil then ends[language] = call('HGET', campaign_key(campaign), 'by:' .. language) end
        return ends[language]
    end

    local seq = call('HINCRBY', campaign_key(campaign), 'seq', #children) - #children
    for i, child in ipairs(children) do
        local suffix, lane, by = child.suffix, child.pool .. ':' .. class, ended_by(child.suffix)
        local state = by and 'cancelled' or child.waits > 0 and 'waiting' or 'ready'
        local fields = {'state', state, 'seq', seq + i, 'lane', lane, 'created', now}
        local function field(name, value) fields[#fields + 1], fields[#fields + 2] = name, value end
        if child.waits > 0 then field('waits', child.waits) end
        if child.next ~= '' then field('next', child.next) end
        if child.affinity ~= '' then field('affinity', child.affinity) end
        if by then field('by', by) end
        call('HSET', P .. 'job:' .. campaign .. '/' .. suffix, unpack(fields))
        local bucket = bucket_of(suffix)
        buckets[bucket] = true
        put_member(bucket_key(campaign, bucket), 0, suffix)
        if state == 'ready' then
            local ready = P .. 'ready:' .. lane .. ':' .. campaign
            put_member(ready, seq + i, suffix)
            if child.affinity ~= '' then
                put_member(ready .. ':' .. child.affinity, seq + i, suffix)
                affinities[child.affinity] = lane
            end
        end
        numbers[state] = numbers[state] or {}
        numbers[state][lane] = (numbers[state][lane] or 0) + 1
        open = open or not by
    end
    for bucket in pairs(buckets) do put_member(index_key(campaign), 0, bucket) end
    for key in pairs(members) do write_members(key) end
    for affinity, lane in pairs(affinities) do
        call('ZADD', P .. 'affinities:' .. lane .. ':' .. campaign, 'NX', 0, affinity)
    end
    for state, by_lane in pairs(numbers) do
        for lane, number in pairs(by_lane) do
            count(campaign, lane, state, number)
            if state == 'ready' then line().enter_fair(lane, campaign) end
        end
    end
    return open
end
