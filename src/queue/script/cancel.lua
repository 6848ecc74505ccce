-- include: death
-- Cancels a campaign and all its open jobs.
-- ARGV: campaign
-- Returns "ok", also when it is cancelled already, or why not.
-- The jobs end before the campaign does, and their sums are flushed in between: a campaign that has ended has no open job.
local state = call('HGET', campaign_key(ARGV[1]), 'state')
if not state then return 'queue.not_found' end
if state == 'cancelled' then return 'ok' end
if state ~= 'running' then return 'queue.state' end
end_jobs(ARGV[1], nil, '')
flush()
end_campaign(ARGV[1], 'cancelled')
return 'ok'
