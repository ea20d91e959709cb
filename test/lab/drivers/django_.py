"""Django, in a transaction of its own making: see run."""
import sys
from urllib.parse import parse_qs, urlparse

import django
from django.conf import settings
from django.db import Error, connection, transaction

from rolled_back import show

what, url = sys.argv[1:]
parts = urlparse(url)
settings.configure(DATABASES={"default": {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": parts.hostname, "PORT": parts.port, "USER": parts.username,
    "NAME": parts.path[1:], "OPTIONS": {
        "application_name": parse_qs(parts.query)["application_name"][0]}}})
django.setup()
transaction.set_autocommit(False)


def execute(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


show(what, lambda: None, execute, transaction.commit, transaction.rollback,
     lambda: execute("SELECT pg_backend_pid()"), Error)
