-- include: base
-- Which workers came and went, and when: a stream of about WORKERS_KEPT entries. `what`: came, gone (signed off) or lost.
local WORKERS_KEPT = 10000

local function note(worker, what, at)
    call('XADD', P .. 'workers:history', 'MAXLEN', '~', WORKERS_KEPT, '*', 'worker', worker, 'what', what, 'at', at)
end
