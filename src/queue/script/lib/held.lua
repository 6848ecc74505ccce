-- include: base
-- Until when a lane ("lipsync:batch") is held; 0 when it is not. What was set by hand goes before the calendar: a positive
-- time holds until then, a negative one lets run until then (hold.lua). A time that is past counts as not set.
local function held_until(lane)
    local f = call('HMGET', P .. 'hold', lane, lane .. ':hand')
    local calendar, hand = tonumber(f[1] or 0), tonumber(f[2] or 0)
    if math.abs(hand) > now then return math.max(hand, 0) end
    return calendar > now and calendar or 0
end
