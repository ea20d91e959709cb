"""orders: a web application that leaks a database session with each request.

The mistake is in show_order, and it is one that real applications make: a new
engine and a new Session for each request, and nobody who closes them.  It
even looks harmless, because the page "only reads": but the read has begun a
transaction, and the session waits inside it for a visitor who never returns.
"""
import os
from typing import Dict, Tuple

from sqlalchemy import Column, Integer, Text, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, declarative_base

from pace import pace, report
from wire import peek_fatal

REQUESTS_PER_SECOND = 10

Base = declarative_base()


class Order(Base):
    __tablename__ = "orders"

    id = Column(Integer, primary_key=True)
    item = Column(Text, nullable=False)
    status = Column(Text, nullable=False)


# The order each visitor is looking at, so that the next page can go on.
open_pages: Dict[int, Tuple[Session, Order]] = {}


def show_order(visitor: int) -> str:
    """GET /order"""
    session = Session(create_engine(os.environ["DATABASE_URL"]))
    order = session.get(Order, 1 + visitor % 50)
    open_pages[visitor] = session, order
    return f"Order {order.id}: {order.item}, {order.status}"


def confirm_order(visitor: int) -> None:
    """POST /order/confirm"""
    session, order = open_pages.pop(visitor)
    order.status = "confirmed"
    session.commit()


# --- From here on it is the demo that asks for pages. ----------------------

def serve(visitor: int) -> None:
    """Let one visitor look at an order, and report how it went."""
    try:
        show_order(visitor)
    except OperationalError as error:
        report("refused", error=str(error.orig).strip())
    else:
        report("served")


def return_to_ended_session() -> bool:
    """Let the first visitor whose session the server has ended come back.

    Reports what the server wrote to that connection, then what SQLAlchemy
    makes of it when the program uses the session again.  False while no
    session has ended.
    """
    for visitor, (session, _) in open_pages.items():
        fatal = peek_fatal(session.connection().connection.fileno())
        if fatal:
            report("ended", fatal=fatal)
            break
    else:
        return False
    try:
        confirm_order(visitor)
    except OperationalError as error:
        report("raised", error=f"sqlalchemy.exc.OperationalError: {error}")
    return True


def main() -> None:
    returned = False
    for visitor in pace(REQUESTS_PER_SECOND):
        serve(visitor)
        returned = returned or return_to_ended_session()
    os._exit(0)     # as a killed web worker would: the server must clean up


if __name__ == "__main__":
    main()
