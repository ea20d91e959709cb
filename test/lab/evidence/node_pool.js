// A pool of node-postgres, honest or leaking: see twins.py.
const { Pool } = require('pg')
const [name, connectionString] = process.argv.slice(2)
const pool = new Pool({ connectionString, max: 10 })
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

async function begin () {
  const client = await pool.connect()
  client.on('error', () => {})
  await client.query('BEGIN')
  await client.query('SELECT id, state FROM job WHERE id = 7')
  return client
}

async function honest () {
  for (;;) {
    const client = await begin()
    await wait(2000 + Math.random() * 3000)
    await client.query('COMMIT')
    client.release()
    await wait(500)
  }
}

// An exception lies between BEGIN and release().
async function leaking () {
  for (;;) {
    await begin()
    await wait(2000)
  }
}

pool.on('error', () => {})
if (name.endsWith('_leaks')) leaking()
else for (let i = 0; i < 10; i++) honest()
