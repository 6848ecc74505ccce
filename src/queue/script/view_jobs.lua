-- include: base
-- Jobs as the API shows them.
-- ARGV: job ids...
-- Returns for each {record, report, artifact, error, progress}; an empty record when there is no such job. Writes nothing.
local out = {}
for i, id in ipairs(ARGV) do
    local campaign, suffix = id:match('^([^/]+)/(.+)$')
    local key = campaign_key(campaign)
    out[i] = {call('HGETALL', P .. 'job:' .. id), call('HGET', key .. ':results', suffix),
        call('HGET', key .. ':results', suffix .. ':artifact'), call('HGET', key .. ':errors', suffix),
        call('HGET', key .. ':progress', suffix)}
end
return out
