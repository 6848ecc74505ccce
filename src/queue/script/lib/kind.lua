local function job_kind(suffix) return suffix:match('(%a+)/%d+$') or suffix:match('%a+$') end
