-- include: base
-- KEDA's redis trigger counts the members of a key and cannot read a number. So the sums that it needs are kept as the
-- lengths of lists too: tally:<pool>:<class>:ready and :leased. The sweep makes them follow; doing it at every move would
-- cost each claim.
local PIECE = 1000

local function set_length(key, length)
    local more = length - call('LLEN', key)
    if more < 0 then call('LTRIM', key, -more, -1) end
    for from = 1, more, PIECE do
        local members = {}
        for i = from, math.min(from + PIECE - 1, more) do members[#members + 1] = '' end
        call('RPUSH', key, unpack(members))
    end
end

local function keep_tallies()
    local counts = call('HGETALL', P .. 'counts')
    for i = 1, #counts, 2 do
        local state = counts[i]:match('%a+$')
        if state == 'ready' or state == 'leased' then set_length(P .. 'tally:' .. counts[i], math.max(0, counts[i + 1])) end
    end
end
