-- include: index
-- A page of a campaign's jobs in the order of their ids.
-- ARGV: campaign, limit, suffix of the last job seen or ""
-- Returns {suffix, ...}; nil when there is no such campaign. Writes nothing.
local campaign, limit, after = ARGV[1], tonumber(ARGV[2]), ARGV[3]
if call('EXISTS', campaign_key(campaign)) == 0 then return false end
local out = {}
local from = after == '' and '-' or '[' .. bucket_of(after)
-- A bucket that is listed is not empty, so `limit` of them always suffice; the first may be used up.
for _, bucket in ipairs(call('ZRANGEBYLEX', index_key(campaign), from, '+', 'LIMIT', 0, limit + 1)) do
    if #out == limit then break end
    local start = after ~= '' and bucket == bucket_of(after) and '(' .. after or '-'
    for _, suffix in ipairs(call('ZRANGEBYLEX', bucket_key(campaign, bucket), start, '+', 'LIMIT', 0, limit - #out)) do
        out[#out + 1] = suffix
    end
end
return out
