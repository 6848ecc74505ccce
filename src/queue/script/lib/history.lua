-- include: base
-- Which workers came and went, and when.
local WORKERS_KEPT = 10000

local function history_add(worker, what, at)
    call('XADD', P .. 'workers:history', 'MAXLEN', '~', WORKERS_KEPT, '*', 'worker', worker, 'what', what, 'at', at)
end
