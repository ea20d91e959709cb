/*-------------------------------------------------------------------------
 *
 * shared/rule_counters.c
 *	  What is kept for each rule, by its number.
 *
 * Owns: PghRuleState and the buckets of connect_rate.  Must not: know
 * sessions.  Any process that has a PGPROC may call it.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/rule_counters.h"

#include "common/hashfn.h"
#include "utils/timestamp.h"

#include "shared/settings.h"

#define PGH_MILLION INT64CONST(1000000)

PghRuleState *pgh_rule_states = NULL;

void
pgh_count_rule(int rule, PghCounter counter)
{
	PghRuleState *state;

	if (rule <= 0 || rule > PGH_MAX_RULES)
		return;
	state = &pgh_rule_states[rule - 1];
	pg_atomic_fetch_add_u64(counter == PGH_COUNT_REFUSED ?
							&state->refused : &state->ended, 1);
	pg_atomic_write_u64(&state->last_used, GetCurrentTimestamp());
}

static void
clear_counters(PghRuleState *state)
{
	pg_atomic_write_u64(&state->refused, 0);
	pg_atomic_write_u64(&state->ended, 0);
	pg_atomic_write_u64(&state->last_used, 0);
}

/* Is what is kept here about newer rules than this process has? */
static bool
is_newer(const PghRuleState *state)
{
	return (int32) (state->generation - pgh_settings_here()) > 0;
}

void
pgh_rule_counter_sync(int i)
{
	const PghRule *rule = &pgh_current_rules()->rule[i];
	PghRuleState *state = &pgh_rule_states[i];
	uint32		hash = hash_bytes((const unsigned char *) rule,
								  sizeof(PghRule));

	if (is_newer(state))
		return;
	state->generation = pgh_settings_here();
	if (state->hash == hash)
		return;
	state->hash = hash;
	state->bucket = rule->value[PGH_RULE_CONNECT_RATE] * PGH_MILLION;
	state->filled_at = GetCurrentTimestamp();
	clear_counters(state);
}

void
pgh_rule_counters_sync(void)
{
	const PghRuleSet *rules = pgh_current_rules();

	pgh_lock(&pgh_rule_counters_part, LW_EXCLUSIVE);
	for (int i = 0; i < rules->n; i++)
		pgh_rule_counter_sync(i);
	pgh_unlock(&pgh_rule_counters_part);
}

bool
pgh_rule_rate_is_used_up(int i, TimestampTz now)
{
	const PghRule *rule = &pgh_current_rules()->rule[i];
	PghRuleState *state = &pgh_rule_states[i];
	int64		most = rule->value[PGH_RULE_CONNECT_RATE] * PGH_MILLION;
	int64		passed = Min(Max(now - state->filled_at, 0), USECS_PER_SEC);

	if (is_newer(state))
		return false;
	state->bucket = Min(state->bucket + passed * rule->value[PGH_RULE_CONNECT_RATE], most);
	state->filled_at = now;
	return state->bucket < PGH_MILLION;
}

void
pgh_rule_rate_take(int i)
{
	PghRuleState *state = &pgh_rule_states[i];

	if (!is_newer(state))
		state->bucket = Max(state->bucket - PGH_MILLION, 0);
}

/* ----------
 * The part
 * ----------
 */

static Size
size_rule_counters(void)
{
	return PGH_MAX_RULES * sizeof(PghRuleState);
}

static void
init_rule_counters(void *area)
{
	pgh_rule_states = area;
	for (int i = 0; i < PGH_MAX_RULES; i++)
	{
		pg_atomic_init_u64(&pgh_rule_states[i].refused, 0);
		pg_atomic_init_u64(&pgh_rule_states[i].ended, 0);
		pg_atomic_init_u64(&pgh_rule_states[i].last_used, 0);
	}
}

static void
reset_rule_counters(void)
{
	for (int i = 0; i < PGH_MAX_RULES; i++)
		clear_counters(&pgh_rule_states[i]);
}

/* What the file keeps; it holds while this number has the same rule. */
typedef struct PghKeptRule
{
	uint32		index;			/* its number, from 0 */
	uint32		hash;
	uint64		refused;
	uint64		ended;
	TimestampTz last_used;
} PghKeptRule;

static void
save_rule_counters(PghStream *stream)
{
	for (int i = 0; i < PGH_MAX_RULES; i++)
	{
		PghRuleState *state = &pgh_rule_states[i];
		PghKeptRule out;

		memset(&out, 0, sizeof(out));
		out.index = i;
		pgh_lock(&pgh_rule_counters_part, LW_SHARED);
		out.hash = state->hash;
		out.refused = pg_atomic_read_u64(&state->refused);
		out.ended = pg_atomic_read_u64(&state->ended);
		out.last_used = pg_atomic_read_u64(&state->last_used);
		pgh_unlock(&pgh_rule_counters_part);
		if (out.last_used != 0)
			pgh_put(stream, &out, sizeof(out));
	}
}

/*
 * The hash has yet to be compared with that of the rule which has this number
 * now.  A bucket that was never filled up is full at its first use.
 */
static bool
load_rule_counters(PghStream *stream)
{
	while (stream->length > 0)
	{
		PghKeptRule in;
		PghRuleState *state;

		if (!pgh_get(stream, &in, sizeof(in)) || in.index >= PGH_MAX_RULES)
			return false;
		state = &pgh_rule_states[in.index];
		state->hash = in.hash;
		pg_atomic_write_u64(&state->refused, in.refused);
		pg_atomic_write_u64(&state->ended, in.ended);
		pg_atomic_write_u64(&state->last_used, in.last_used);
	}
	return true;
}

PghPart		pgh_rule_counters_part = {
	.name = "rules",
	.size = size_rule_counters,
	.init = init_rule_counters,
	.reset = reset_rule_counters,
	.save = save_rule_counters,
	.load = load_rule_counters,
	.format = PGH_FORMAT(1, sizeof(PghKeptRule)),
};
