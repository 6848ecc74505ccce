-- include: base
-- A campaign's jobs, a hundred to a bucket, so that Redis keeps the buckets packed: campaign:<id>:jobs:hi/dub/00 holds
-- hi/dub/0000 to hi/dub/0099, and campaign:<id>:jobs the names of the buckets. Both are in lexical order.

local function index_key(campaign) return campaign_key(campaign) .. ':jobs' end
local function bucket_key(campaign, bucket) return index_key(campaign) .. ':' .. bucket end
local function bucket_of(suffix) return suffix:match('^(.*%d%d)%d%d$') or suffix end

local function index_add(campaign, suffix)
    local bucket = bucket_of(suffix)
    call('ZADD', bucket_key(campaign, bucket), 0, suffix)
    call('ZADD', index_key(campaign), 0, bucket)
end

-- Calls visit(suffix) for each job of a language, or of the whole campaign when it is nil. `language` may be "track" too:
-- it is the first part of a suffix. ("0" is the character after "/".)
local function each_job(campaign, language, visit)
    local from, to = '-', '+'
    if language then from, to = '[' .. language .. '/', '(' .. language .. '0' end
    for _, bucket in ipairs(call('ZRANGEBYLEX', index_key(campaign), from, to)) do
        for _, suffix in ipairs(call('ZRANGE', bucket_key(campaign, bucket), 0, -1)) do visit(suffix) end
    end
end
