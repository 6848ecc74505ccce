-- include: given
-- include: publish
-- include: lanes
-- on demand: totals
-- Finishes some jobs of one worker, then claims others for it.
-- ARGV: worker, lease ms, how many jobs to claim, pools, classes and what is held as claim.lua has them; for each job that is
-- done: job, stamp, artifact or "", report, what it adds to the totals ("name amount name amount ... "), number of children,
-- and they (lib/given.lua)...
-- Returns {status of each, id, stamp, class of what was claimed, ...}.
-- Each finish is checked and written by itself, so one that is refused does not hinder the others. The claim comes last, so
-- that it finds the jobs that the finishes made ready. Totals are added only for a finish that ended its job just now: one
-- that is repeated adds nothing.
local NEW_TOTALS_MAX = 8192
local worker, out, sums, i = ARGV[1], {}, '', 7
local any, known = false, false
while ARGV[i] do
    local children = tonumber(ARGV[i + 5])
    local status = finish_job(ARGV[i], worker, ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], given_jobs(i + 6, children))
    if status == 'ok' then
        any, sums = true, sums .. ARGV[i + 4]
    elseif status == 'known' then
        known, status = true, 'ok'
    end
    out[#out + 1] = status
    i = i + 6 + GIVEN * children
end
if any and call('APPEND', P .. 'totals:new', sums) > NEW_TOTALS_MAX then totals().fold_totals() end
-- `known`: this call ran before and its reply was lost. What it claimed then is leased already and comes back when the lease
-- runs out; nothing more is claimed now. The worker did not wait, so it popped no marker and has none to hand on
-- (docs/queue.md, waking).
if any and not known and ARGV[3] ~= '0' then
    claim_jobs(worker, ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6], out)
end
flush()
return out
