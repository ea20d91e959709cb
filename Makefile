# Makefile of pg_hygiene: plain PGXS, and the two commands of the README.
#
#   make, make install, make installcheck    as with every PostgreSQL extension
#   make demo      the failure with and without pg_hygiene, in throwaway clusters
#   make test      every test; TESTS='test/t/003*.t' or TESTS=unit runs a part
#   make test-long the tests that take as long as what they test takes
#   make test-matrix   the same on every supported PostgreSQL; needs root
#   make test-fresh    these two commands in fresh Debian systems; needs root
#   make test-valgrind   the regression tests under valgrind
#   make stress    sessions that go back to work at the last moment, at length
#   make bench     what it costs, with the goals
#   make dist      what is committed, as PGXN wants it: .zip and .tar.gz
#   make test-package  Debian's package, in a fresh Debian; needs root
#   make test-images   the RPM, and what containers are made of
#
# PG_CONFIG=/path/to/pg_config chooses the PostgreSQL, everywhere.

MODULE_big = pg_hygiene
SOURCES = $(sort $(wildcard src/*.c src/*/*.c src/*/*/*.c))
OBJS = $(SOURCES:.c=.o)
PGFILEDESC = "pg_hygiene - keeps one application from exhausting the server"

EXTENSION = pg_hygiene
DATA = sql/pg_hygiene--1.0.sql
REGRESS = $(sort $(basename $(notdir $(filter-out sql/pg_hygiene--%,$(wildcard sql/*.sql)))))

# The library exports what PostgreSQL looks up by name and nothing else: the
# list is made from the sources.  (PostgreSQL 16 and later hide the rest by
# themselves, 15 does not.)
SHLIB_EXPORTS = pg_hygiene.exports.txt
EXTRA_CLEAN = pg_hygiene.exports.* pg_hygiene.built-for

PG_CPPFLAGS = -I$(srcdir)/src

PG_CONFIG ?= pg_config

# These install what is missing, PostgreSQL included, or need none, so they
# must start without it; everything else needs PGXS at once.
.DEFAULT_GOAL := all
ifneq ($(filter-out demo test test-long test-fresh test-matrix test-valgrind stress bench dist test-package test-images,$(or $(MAKECMDGOALS),all)),)
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifeq ($(wildcard $(PGXS)),)
$(error PostgreSQL's server headers are missing ("$(PG_CONFIG) --pgxs" finds none): install them, on Debian 12 with "apt-get install postgresql-server-dev-15 libkrb5-dev", or name another PostgreSQL with PG_CONFIG=/path/to/pg_config)
endif
include $(PGXS)

# PGXS knows nothing of headers.
$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h src/*/*.h src/*/*/*.h)

# Nor that what lies here may have been built for another PostgreSQL.
$(OBJS) $(OBJS:.o=.bc): pg_hygiene.built-for
pg_hygiene.built-for: always
	@echo '$(MAJORVERSION) $(includedir_server)' | cmp -s - $@ || \
		echo '$(MAJORVERSION) $(includedir_server)' >$@
.PHONY: always
always:

# A server that is running need not be reachable by whoever asks; root least of
# all, who usually has no role.
installcheck: can-installcheck
.PHONY: can-installcheck
can-installcheck:
	@preloaded=$$('$(bindir)/psql' -XAtw -d postgres -c 'SHOW shared_preload_libraries' 2>&1) || { \
		printf '%s\n' "$$preloaded" \
			"installcheck needs a running server, and a superuser's role for $$(id -un):" \
			"  as its superuser, createuser --superuser $$(id -un)" \
			'or PGHOST=, PGPORT= and PGUSER= of one that lets you in.  "make test" needs none.' >&2; \
		exit 1; }; \
	case $$preloaded in *pg_hygiene*) ;; *) \
		echo 'installcheck needs pg_hygiene in shared_preload_libraries of the running server, and a restart.' >&2; \
		exit 1 ;; esac

# The library is in a running server's memory, but its next start needs the file.
uninstall: warn-of-preload
.PHONY: warn-of-preload
warn-of-preload:
	@echo 'A server that names pg_hygiene in shared_preload_libraries will not start again without it: see doc/runbook.md, "Uninstall".'

$(SHLIB_EXPORTS): $(SOURCES) Makefile
	@printf '%s\n' _PG_init Pg_magic_func pgh_worker_main >$@
	@sed -n 's/^PG_FUNCTION_INFO_V1(\(.*\)).*/\1\npg_finfo_\1/p' $(SOURCES) >>$@
endif

# Hand on PG_CONFIG only when somebody chose one.
ifneq ($(filter command environment,$(firstword $(origin PG_CONFIG))),)
chosen = PG_CONFIG='$(PG_CONFIG)'
endif

.PHONY: demo test test-long test-fresh test-matrix test-valgrind stress bench dist test-package test-images
demo:
	@$(chosen) test/demo/run

test:
	@$(chosen) TESTS='$(TESTS)' test/run

long = fuzz test/t/010_race.t test/t/028_names.t test/t/059_client_stall.t test/t/063_write_delay.t test/t/081_storm_of_clients.t test/t/085_pid_reuse.t test/lab/day/day.t
test-long:
	@$(chosen) LONG=1 TESTS='$(or $(TESTS),$(long))' test/run

test-fresh:
	@test/lab/fresh

test-matrix:
	@TESTS='$(TESTS)' test/lab/matrix

test-valgrind:
	@$(chosen) test/lab/valgrind

stress:
	@$(chosen) test/lab/stress/run

bench:
	@$(chosen) test/lab/bench/run

# The name has the version of META.json.
dist = pg_hygiene-$(shell sed -n 's/^\t"version": "\(.*\)",$$/\1/p' META.json)
dist:
	@git diff --quiet HEAD || echo 'What is not committed is left out.' >&2
	git archive --prefix=$(dist)/ --output=$(dist).zip HEAD
	git archive --prefix=$(dist)/ --output=$(dist).tar.gz HEAD

test-package:
	@test/lab/package

test-images:
	@$(chosen) test/lab/images
