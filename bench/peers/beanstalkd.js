// beanstalkd: put, and reserve + delete, each connection in lock-step. Arguments: port. Prints JSON.
import net from 'node:net'

const payload = 'x'.repeat(200)
const now = () => process.hrtime.bigint()

function connect(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => resolve(connection))
    socket.setNoDelay(true)
    let wake = null, text = ''
    // An answer is one line, or RESERVED <id> <bytes> and a body.
    socket.on('data', (piece) => {
      text += piece
      const end = text.indexOf('\r\n')
      if (end < 0) return
      const words = text.slice(0, end).split(' ')
      if (words[0] === 'RESERVED' && text.length < end + 4 + Number(words[2])) return
      text = ''
      wake(words)
    })
    const connection = {
      ask: (command) => new Promise((answer) => { wake = answer; socket.write(command) }),
      close: () => socket.destroy(),
    }
  })
}

async function crowd(port, count, connections, step) {
  const all = await Promise.all(Array.from({ length: connections }, () => connect(port)))
  let left = count
  const start = now()
  await Promise.all(all.map(async (one) => { while (left-- > 0) await step(one) }))
  const rate = count / (Number(now() - start) / 1e9)
  all.forEach((one) => one.close())
  return rate
}

function must([word, id], wanted) {
  if (word !== wanted) throw new Error(`${wanted} expected, ${word} answered`)
  return id
}
const put = async (one) => must(await one.ask(`put 0 0 60 ${payload.length}\r\n${payload}\r\n`), 'INSERTED')
async function take(one) {
  const id = must(await one.ask('reserve\r\n'), 'RESERVED')
  must(await one.ask(`delete ${id}\r\n`), 'DELETED')
}
const port = Number(process.argv[2])
const out = { single_add: await crowd(port, 3000, 1, put), add_32: await crowd(port, 47000, 32, put) }
out.drain_1 = await crowd(port, 3000, 1, take)
out.drain_32 = await crowd(port, 20000, 32, take)
out.drain_100 = await crowd(port, 20000, 100, take)
console.log(JSON.stringify(out))
