-- include: index
-- Audits keys: finds records that belong to nothing. A repair removes them; a job whose campaign lives is put back into the
-- index.
-- ARGV: repair (0 or 1), keys without their prefix...
-- Returns {finding, key, ...}.
local KNOWN = {counts = 1, campaigns = 1, finished = 1, dead = 1, totals = 1, events = 1, workers = 1, worker = 1,
    leases = 1, delayed = 1, fair = 1, ready = 1, affinities = 1, marker = 1, hold = 1, failure = 1}
local out = {}

-- A campaign that the sweep is removing has no record any more, but is in `finished` until its last job is gone.
local function lives(campaign)
    return call('EXISTS', campaign_key(campaign)) == 1 or call('ZSCORE', P .. 'finished', campaign)
end

-- Notes a finding; returns whether it is to be repaired.
local function find(what, key)
    out[#out + 1], out[#out + 2] = what, key
    return ARGV[1] == '1'
end

for i = 2, #ARGV do
    local name = ARGV[i]
    local campaign, suffix = name:match('^job:([^/]+)/(.+)$')
    local owner = name:match('^campaign:([^:]+)')
    if campaign and not lives(campaign) then
        if find('a job without a campaign', name) then call('UNLINK', P .. name) end
    elseif campaign and not call('ZSCORE', bucket_key(campaign, bucket_of(suffix)), suffix) then
        if find('a job that is not in the index', name) then index_add(campaign, suffix) end
    elseif owner and not lives(owner) then
        if find('belongs to no campaign', name) then call('UNLINK', P .. name) end
    elseif not campaign and not owner and not KNOWN[name:match('^%a+') or ''] then
        find('no key of this farm', name)
    end
end
return out
