-- include: given
-- include: spawn
-- Adds a campaign with the jobs with which it begins.
-- ARGV: campaign, name, class, spec hash, deadline ms, languages (with spaces between), workload,
-- pictures that it asks for, jobs (lib/given.lua)...
-- Returns "created", "known" when the same spec was submitted before, or why not.
-- The record comes before the jobs, which read the class from it.
local FIRST = 9
local campaign, name, class, spec, deadline, languages, workload, pictures = unpack(ARGV, 1, FIRST - 1)
local key = campaign_key(campaign)
local known = call('HGET', key, 'spec')
if known then return known == spec and 'known' or 'queue.exists' end
-- An expired campaign of the same id is still being removed, a piece at a time.
if call('ZSCORE', P .. 'finished', campaign) then return 'queue.unavailable' end

call('HSET', key, 'name', name, 'class', class, 'spec', spec, 'deadline', deadline, 'languages', languages,
    'workload', workload, 'pictures', pictures, 'state', 'running', 'submitted', now)
call('ZADD', P .. 'campaigns', now, campaign)
emit_campaign(campaign, string.format('{"id":"%s","state":"running"}', campaign))
spawn(campaign, given_jobs(FIRST, (#ARGV - FIRST + 1) / GIVEN))
flush()
return 'created'
