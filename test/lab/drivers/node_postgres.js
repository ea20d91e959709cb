// node-postgres: see run.
const { Client } = require('pg')
const [what, url] = process.argv.slice(2)
const show = (m) => console.log([m.message, m.detail, m.hint].join('\n'))

async function main () {
  const client = new Client({ connectionString: url })
  client.on('error', show)
  client.on('notice', show)
  await client.connect()
  if (what !== 'warning') {
    await client.query('BEGIN')
    await client.query('SELECT 1')
    await new Promise((resolve) => setTimeout(resolve, 1000))
    await client.query('SELECT 2')
  }
  await client.end()
}

main().catch(show)
