-- include: counts
-- ARGV: pools (with spaces between), campaign ids. Returns for each {record, {language, job that ended it, its error, ...}, jobs by state}.
local out = {}
for i = 2, #ARGV do
    local campaign = ARGV[i]
    local key = campaign_key(campaign)
    local all = call('HMGET', key, 'languages', 'ended_by')
    local ends = {}
    for language in (all[1] or ''):gmatch('%S+') do
        local by = call('HGET', key, 'by:' .. language) or all[2]
        if by then
            local error = call('HGET', key .. ':errors', by) or ''
            for _, value in ipairs({language, campaign .. '/' .. by, error}) do ends[#ends + 1] = value end
        end
    end
    out[i - 1] = {call('HGETALL', key), ends, campaign_counts(campaign, ARGV[1])}
end
return out
