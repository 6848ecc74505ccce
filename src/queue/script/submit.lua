-- include: spawn
-- ARGV: campaign, name, class, spec hash, deadline ms, languages (with spaces between), pool of the plan job
local campaign, name, class, spec, deadline, languages, pool = unpack(ARGV)
local key = campaign_key(campaign)
local known = call('HGET', key, 'spec')
if known then return known == spec and 'known' or 'queue.exists' end
-- Its predecessor of the same id has expired and is being removed, a piece at a time.
if call('ZSCORE', P .. 'finished', campaign) then return 'queue.unavailable' end

call('HSET', key, 'name', name, 'class', class, 'spec', spec, 'deadline', deadline, 'languages', languages,
    'state', 'running', 'submitted', now)
call('ZADD', P .. 'campaigns', now, campaign)
emit_campaign(campaign, string.format('{"id":"%s","state":"running"}', campaign))
spawn(campaign, {{suffix = 'plan', pool = pool, waits = 0, next = ''}})
flush()
return 'created'
