"""SQLAlchemy on psycopg2, with its QueuePool: see run."""
import sys
import time

from sqlalchemy import create_engine, exc, text

from rolled_back import show

what, url = sys.argv[1:]


class Pooled:
    """A connection that goes back to the pool with each rollback."""

    def __init__(self, engine):
        self.engine = engine
        self.connection = engine.connect()

    def execute(self, sql):
        return self.connection.execute(text(sql))

    def commit(self):
        self.connection.connection.commit()

    def rollback(self):
        self.connection.close()
        self.connection = self.engine.connect()

    def backend(self):
        return self.execute("SELECT pg_backend_pid()").scalar()


def words(error):
    invalidated = getattr(error, "connection_invalidated", False)
    return f"{error}{' (invalidated)' if invalidated else ''}"


try:
    engine = create_engine(url)
    if what in ("statement", "commit"):
        pooled = Pooled(engine)
        show(what, lambda: None, pooled.execute, pooled.commit,
             pooled.rollback, pooled.backend, Exception, words)
        sys.exit()
    connection = engine.connect()
    if what == "warning":
        print(*connection.connection.dbapi_connection.notices)
    else:
        connection.execute(text("SELECT 1"))
        time.sleep(1)
        connection.execute(text("SELECT 2"))
except exc.SQLAlchemyError as error:
    print(error)
