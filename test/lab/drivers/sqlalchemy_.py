"""SQLAlchemy on psycopg2: see run."""
import sys
import time

from sqlalchemy import create_engine, exc, text

what, url = sys.argv[1:]
try:
    connection = create_engine(url).connect()
    if what == "warning":
        print(*connection.connection.dbapi_connection.notices)
    else:
        connection.execute(text("SELECT 1"))
        time.sleep(1)
        connection.execute(text("SELECT 2"))
except exc.SQLAlchemyError as error:
    print(error)
