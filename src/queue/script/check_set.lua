-- include: job
-- Audits up to 500 members of a sorted set against the records that they name. A repair removes a wrong member.
-- ARGV: the set's name without its prefix, first rank, repair (0 or 1)
-- Returns {next rank or -1, finding, member, ...}. The next rank is less by what was removed.
local AT_ONCE = 500
local set, from, repair = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local key, kind = P .. set, set:match('^%a+')
local lane, campaign, affinity = set:match('^%a+:(%w+:%w+):([^:]+):?(%w*)$')

local function job_state(id) return call('HGET', P .. 'job:' .. id, 'state') end

-- What is wrong with a member, or nil.
local wrong = {
    leases = function(id) return job_state(id) ~= 'leased' and 'a lease without a leased job' end,
    delayed = function(id) return job_state(id) ~= 'delayed' and 'a delay without a delayed job' end,
    dead = function(id) return job_state(id) ~= 'dead' and 'in the list of the dead and is not' end,
    ready = function(suffix)
        local f = call('HMGET', P .. 'job:' .. campaign .. '/' .. suffix, 'state', 'affinity')
        return (f[1] ~= 'ready' or affinity ~= '' and f[2] ~= affinity) and 'in line and not ready'
    end,
    affinities = function(name)
        return call('EXISTS', P .. set:gsub('^affinities', 'ready', 1) .. ':' .. name) == 0 and 'an affinity without ready jobs'
    end,
    fair = function(id) return call('EXISTS', P .. set:gsub('^fair', 'ready', 1) .. ':' .. id) == 0 and 'a turn without ready jobs' end,
    campaigns = function(id) return call('EXISTS', campaign_key(id)) == 0 and 'listed without a record' end,
    finished = function(id)
        return call('HGET', campaign_key(id), 'state') == 'running' and 'listed as finished while it runs'
    end,
}

local members = call('ZRANGE', key, from, from + AT_ONCE - 1)
local out, removed = {-1}, 0
for _, member in ipairs(members) do
    local what = wrong[kind](member)
    if what then
        out[#out + 1], out[#out + 2] = what, member
        if repair then
            call('ZREM', key, member)
            removed = removed + 1
        end
    end
end
if #members == AT_ONCE then out[1] = from + AT_ONCE - removed end
if kind == 'ready' and affinity == '' and call('EXISTS', key) == 1 and call('EXISTS', campaign_key(campaign)) == 1 and
    not call('ZSCORE', P .. 'fair:' .. lane, campaign) then
    out[#out + 1], out[#out + 2] = 'ready jobs without a turn', campaign
    if repair then
        call('ZADD', P .. 'fair:' .. lane, 0, campaign)
        woken[lane] = true
    end
end
flush()
return out
