"""Pools beside a server that ends their connections: see run.

pools.py POOL URL SECONDS: eight workers borrow a connection, run a short
transaction, give it back and pause for up to a second and a half.  Prints how
many calls there were, and how many of them failed.
"""
import asyncio
import random
import sys
import threading
import time

WORKERS = 8
PAUSE = 1.5

what, url, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])


class Count:
    calls = failed = 0
    said = set()

    def add(self, error=None):
        self.calls += 1
        if error is not None:
            self.failed += 1
            self.said.add(str(error).split("\n")[0][:120])


def sqlalchemy(count, pre_ping):
    from sqlalchemy import create_engine, text
    engine = create_engine(url, pool_size=WORKERS, pool_pre_ping=pre_ping)
    end = time.monotonic() + seconds

    def work(number):
        pause = random.Random(number)
        while time.monotonic() < end:
            try:
                with engine.begin() as connection:
                    connection.execute(text("SELECT 1"))
                count.add()
            except Exception as error:
                count.add(error)
            time.sleep(pause.uniform(0, PAUSE))

    threads = [threading.Thread(target=work, args=(i,))
               for i in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def asyncpg(count):
    import asyncpg as driver
    end = time.monotonic() + seconds
    pool = await driver.create_pool(url, min_size=WORKERS, max_size=WORKERS)

    async def work(number):
        pause = random.Random(number)
        while time.monotonic() < end:
            try:
                async with pool.acquire() as connection:
                    async with connection.transaction():
                        await connection.fetch("SELECT 1")
                count.add()
            except Exception as error:
                count.add(error)
            await asyncio.sleep(pause.uniform(0, PAUSE))

    await asyncio.gather(*(work(i) for i in range(WORKERS)))
    pool.terminate()


count = Count()
if what == "asyncpg":
    asyncio.run(asyncpg(count))
else:
    sqlalchemy(count, what == "pre_ping")
print(count.calls, count.failed)
for text in sorted(count.said):
    print(text, file=sys.stderr)
