"""asyncpg: see run."""
import asyncio
import sys

import asyncpg

what, url = sys.argv[1:]


async def main():
    try:
        connection = await asyncpg.connect(url)
        if what == "warning":
            return
        await connection.execute("BEGIN")
        await connection.fetch("SELECT 1")
        await asyncio.sleep(1)
        await connection.fetch("SELECT 2")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        print(type(error).__name__, error,
              getattr(error, "detail", "") or "",
              getattr(error, "hint", "") or "", sep="\n")


asyncio.run(main())
