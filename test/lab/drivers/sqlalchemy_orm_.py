"""A Session of SQLAlchemy's ORM: see run."""
import sys

from sqlalchemy import create_engine, exc, text
from sqlalchemy.orm import Session

from rolled_back import show

what, url = sys.argv[1:]
session = Session(create_engine(url))
show(what, lambda: None, lambda sql: session.execute(text(sql)),
     session.commit, session.rollback,
     lambda: session.execute(text("SELECT pg_backend_pid()")).scalar(),
     exc.SQLAlchemyError)
