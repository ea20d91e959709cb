#!/bin/sh
# psql: see run.
if [ "$1" = warning ]; then exec psql -Xqc 'SELECT' "$2" 2>&1; fi
{ echo 'BEGIN; SELECT 1;'; sleep 1; echo 'SELECT 2;'; } | psql -Xq "$2" 2>&1
