-- include: base
-- ARGV: campaign ids. Returns for each {record, {language, job that ended it, its error, ...}}.
local out = {}
for i, campaign in ipairs(ARGV) do
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
    out[i] = {call('HGETALL', key), ends}
end
return out
