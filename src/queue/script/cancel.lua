-- include: death
-- ARGV: campaign
local state = call('HGET', campaign_key(ARGV[1]), 'state')
if not state then return 'queue.not_found' end
if state == 'cancelled' then return 'ok' end
if state ~= 'running' then return 'queue.state' end
end_jobs(ARGV[1], nil, '')
flush()
end_campaign(ARGV[1], 'cancelled')
return 'ok'
