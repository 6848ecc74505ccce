-- include: job
-- include: limits
-- Failures of a job are counted three ways: errors (the world's fault), refusals (a worker's fault) and crashes; of each how
-- many, and by which workers. A worker that fails at once is always the idle one, so it would use up every try alone:
-- therefore different workers count.

-- As long as a worker's beat lasts (src/worker/worker.c).
local ALIVE_MS = 15000
-- So many times the limit end the job whoever had them: those that live may be of another pool, or take nothing any more.
local IN_ALL = 4

-- One more failure of a job, in the fields `what` and `by`. Returns how many that makes, the names of the workers that had
-- them, with spaces between, and how many these are. Writes nothing.
local function blame(job, what, by)
    local f = call('HMGET', job.key, what, by)
    local names = f[2] or ''
    if not (' ' .. names .. ' '):find(' ' .. job.worker .. ' ', 1, true) then
        names = (names == '' and '' or names .. ' ') .. job.worker
    end
    local _, workers = names:gsub('%S+', '')
    return tonumber(f[1] or 0) + 1, names, workers
end

-- Whether `number` failures of so many different workers end a job whose kind is allowed `most`: when they are of that many
-- workers, or of all that live if these are fewer.
local function is_last(number, workers, most)
    if number < most then return false end
    return number >= IN_ALL * most or workers >= math.min(most, call('ZCOUNT', P .. 'workers', now - ALIVE_MS, '+inf'))
end
