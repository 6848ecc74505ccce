-- "hi/dub/0007" is a dub, "plan" a plan.
local function job_kind(suffix) return suffix:match('(%a+)/%d+$') or suffix:match('%a+$') end
