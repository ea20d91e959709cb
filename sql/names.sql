--
-- A setting that does not exist is refused.  PostgreSQL's versions do not say
-- it in the same words: names_1.out has those of 17 and later.
--
ALTER SYSTEM SET pg_hygiene.idle_transaction_timeout = '1s';
SET pg_hygiene.idle_transaction_timeout = '1s';
SHOW pg_hygiene.idle_transaction_timeout;
