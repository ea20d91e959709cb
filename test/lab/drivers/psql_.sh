#!/bin/sh
# psql: see run.
case $1 in
	warning) exec psql -Xqc 'SELECT' "$2" 2>&1 ;;
	statement) statement='SELECT 2' ;;
	commit) statement='COMMIT' ;;
	*)
		{ echo 'BEGIN; SELECT 1;'; sleep 1; echo 'SELECT 2;'; } | psql -Xq "$2" 2>&1
		exit ;;
esac
{
	echo 'SELECT pg_backend_pid() AS before \gset'
	echo 'BEGIN; SELECT 1;'
	sleep 3
	echo "$statement;"
	echo 'ROLLBACK;'
	echo "SELECT CASE WHEN pg_backend_pid() = :before THEN 'connection kept' ELSE 'another connection' END;"
} | psql -XAtq "$2" 2>&1
