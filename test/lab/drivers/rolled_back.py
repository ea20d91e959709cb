"""What the Python drivers have in common where a transaction is rolled back.

A program calls show() with what it does: begin a transaction, run a statement
in it, commit it, roll it back, and say which backend it talks to.
"""
import time


def show(what, begin, statement, commit, rollback, backend, errors, words=str):
    """Leave a transaction idle, go on, and print what that raised."""
    before = backend()
    rollback()
    begin()
    statement("SELECT 1")
    time.sleep(3)
    try:
        if what == "statement":
            statement("SELECT 2")
        else:
            commit()
        print("no error")
    except errors as error:
        print(words(error))
    rollback()
    print("connection kept" if backend() == before else "another connection")
