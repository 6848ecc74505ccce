# Arguments: number of jobs. Prints JSON with the rates of single and bulk adding; leaves the jobs in the queue.
require 'json'
require_relative 'sidekiq_job'

payload = 'x' * 200
clock = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
start = clock.call
1000.times { BenchJob.perform_async(payload) }
single = 1000 / (clock.call - start)
count = ARGV[0].to_i - 1000
start = clock.call
(count / 1000).times { Sidekiq::Client.push_bulk('class' => BenchJob, 'args' => [[payload]] * 1000) }
puts JSON.generate(single_add: single, bulk_add: count / (clock.call - start))
