// BullMQ: bulk and single add, drain by one Worker with a concurrency, of as many jobs as mela's queue holds. Arguments: port
// of Redis. Prints JSON.
import { Queue, Worker } from 'bullmq'

const connection = { host: '127.0.0.1', port: Number(process.argv[2]), maxRetriesPerRequest: null }
const data = { payload: 'x'.repeat(200) }
const options = { removeOnComplete: true }
const jobs = (n) => Array.from({ length: n }, () => ({ name: 'job', data, opts: options }))
const seconds = (from) => Number(process.hrtime.bigint() - from) / 1e9
const now = () => process.hrtime.bigint()

async function drain(queue, count, concurrency) {
  for (let i = 0; i < count; i += 1000) await queue.addBulk(jobs(1000))
  let left = count
  return new Promise((resolve) => {
    const start = now()
    const worker = new Worker(queue.name, async () => 0, { connection, concurrency })
    worker.on('completed', async () => {
      if (--left > 0) return
      const rate = count / seconds(start)
      await worker.close()
      resolve(rate)
    })
  })
}

const queue = new Queue('bench', { connection })
await queue.waitUntilReady()
let start = now()
for (let i = 0; i < 1000; i++) await queue.add('job', data, options)
const single = 1000 / seconds(start)
start = now()
for (let i = 0; i < 10; i++) await queue.addBulk(jobs(1000))
const bulk = 10000 / seconds(start)
await queue.obliterate({ force: true })
const out = { single_add: single, bulk_add: bulk, drain_1: await drain(queue, 2000, 1) }
out.drain_32 = await drain(queue, 60000, 32)
out.drain_100 = await drain(queue, 60000, 100)
console.log(JSON.stringify(out))
process.exit(0)
