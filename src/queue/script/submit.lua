-- include: spawn
-- Adds a campaign with its plan job ready.
-- ARGV: campaign, name, class, spec hash, deadline ms, languages (with spaces between), pool of the plan job
-- Returns "created", "known" when the same spec was submitted before, or why not.
-- The record comes before the plan job, which reads the class from it.
local campaign, name, class, spec, deadline, languages, pool = unpack(ARGV)
local key = campaign_key(campaign)
local known = call('HGET', key, 'spec')
if known then return known == spec and 'known' or 'queue.exists' end
-- An expired campaign of the same id is still being removed, a piece at a time.
if call('ZSCORE', P .. 'finished', campaign) then return 'queue.unavailable' end

call('HSET', key, 'name', name, 'class', class, 'spec', spec, 'deadline', deadline, 'languages', languages,
    'state', 'running', 'submitted', now)
call('ZADD', P .. 'campaigns', now, campaign)
emit_campaign(campaign, string.format('{"id":"%s","state":"running"}', campaign))
spawn(campaign, {{suffix = 'plan', pool = pool, waits = 0, next = ''}})
flush()
return 'created'
