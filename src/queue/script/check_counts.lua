-- include: job
-- Audits how many jobs are ready and leased by lane. What would take long to recount is left out.
-- ARGV: repair (0 or 1), pools...
-- Returns {finding, name, ...}.
local TURNS_MAX, LEASES_MAX = 1000, 10000
local out, leased = {}, {}
local function check(name, number)
    if tonumber(call('HGET', P .. 'counts', name) or 0) == number then return end
    out[#out + 1], out[#out + 2] = 'miscounted', name
    if ARGV[1] == '1' then call('HSET', P .. 'counts', name, number) end
end
local few = call('ZCARD', P .. 'leases') <= LEASES_MAX
for _, id in ipairs(few and call('ZRANGE', P .. 'leases', 0, -1) or {}) do
    local job = load_job_id(id)
    local name = job and job.lane or ''
    leased[name] = (leased[name] or 0) + 1
end
for i = 2, #ARGV do
    for _, class in ipairs({'urgent', 'batch'}) do
        local name = ARGV[i] .. ':' .. class
        local ready = 0
        if call('ZCARD', P .. 'fair:' .. name) <= TURNS_MAX then
            for _, campaign in ipairs(call('ZRANGE', P .. 'fair:' .. name, 0, -1)) do
                ready = ready + call('ZCARD', P .. 'ready:' .. name .. ':' .. campaign)
            end
            check(name .. ':ready', ready)
        end
        if few then check(name .. ':leased', leased[name] or 0) end
    end
end
return out
