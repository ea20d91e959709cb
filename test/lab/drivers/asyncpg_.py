"""asyncpg: see run."""
import asyncio
import sys

import asyncpg

what, url = sys.argv[1:]


def show(error):
    print(type(error).__name__, error,
          getattr(error, "detail", "") or "",
          getattr(error, "hint", "") or "", sep="\n")


async def roll_back(connection):
    """Leave a transaction idle, go on, and print what that raised."""
    before = await connection.fetchval("SELECT pg_backend_pid()")
    transaction = connection.transaction()
    await transaction.start()
    await connection.fetch("SELECT 1")
    await asyncio.sleep(3)
    try:
        if what == "statement":
            await connection.fetch("SELECT 2")
        else:
            await transaction.commit()
        print("no error")
    except asyncpg.PostgresError as error:
        show(error)
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")
    after = await connection.fetchval("SELECT pg_backend_pid()")
    print("connection kept" if after == before else "another connection")


async def main():
    try:
        connection = await asyncpg.connect(url)
        if what == "warning":
            return
        if what in ("statement", "commit"):
            await roll_back(connection)
            return
        await connection.execute("BEGIN")
        await connection.fetch("SELECT 1")
        await asyncio.sleep(1)
        await connection.fetch("SELECT 2")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        show(error)


asyncio.run(main())
