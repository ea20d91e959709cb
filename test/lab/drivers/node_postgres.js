// node-postgres: see run.
const { Client } = require('pg')
const [what, url] = process.argv.slice(2)
const show = (m) => console.log([m.message, m.detail, m.hint].join('\n'))
const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))
const backend = async (client) =>
  (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid

// Leave a transaction idle, go on, and print what that raised.
async function rollBack (client) {
  const before = await backend(client)
  await client.query('BEGIN')
  await client.query('SELECT 1')
  await wait(3)
  await client.query(what === 'commit' ? 'COMMIT' : 'SELECT 2').then(() => console.log('no error'), show)
  await client.query('ROLLBACK')
  console.log(await backend(client) === before ? 'connection kept' : 'another connection')
}

async function main () {
  const client = new Client({ connectionString: url })
  client.on('error', show)
  client.on('notice', what === 'commit' ? () => {} : show)
  await client.connect()
  if (what === 'statement' || what === 'commit') await rollBack(client)
  else if (what !== 'warning') {
    await client.query('BEGIN')
    await client.query('SELECT 1')
    await wait(1)
    await client.query('SELECT 2')
  }
  await client.end()
}

main().catch(show)
