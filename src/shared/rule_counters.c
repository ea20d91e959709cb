/*-------------------------------------------------------------------------
 *
 * shared/rule_counters.c
 *	  What is kept for each rule, by its number.
 *
 * Owns: PghRuleState, the buckets of connect_rate, and which rules each slot
 * is counted under.  Must not: find out which rules a session matches.  Any
 * process that has a PGPROC may call it.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/rule_counters.h"

#include "common/hashfn.h"
#include "port/pg_bitutils.h"
#include "utils/timestamp.h"

#define PGH_MILLION INT64CONST(1000000)

/* The rules that the counts are about. */
typedef struct PghPresentRules
{
	pg_atomic_uint32 generation;	/* 0 = none yet */
	pg_atomic_uint32 counting;	/* one of them has a cap or a reserve */
	pg_atomic_uint64 rules_hash;
	uint32		settings;		/* generation of the settings they are of */
} PghPresentRules;

PghRuleState *pgh_rule_states = NULL;
static PghPresentRules *present = NULL;
static PghRuleBits *members = NULL; /* of each slot: the rules that its
									 * session is counted under */

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

/* A rule that changed begins anew. */
static void
sync_state(PghRuleState *state, const PghRule *rule)
{
	uint32		hash = hash_bytes((const unsigned char *) rule,
								  sizeof(PghRule));

	if (state->hash == hash)
		return;
	state->hash = hash;
	state->bucket = rule->value[PGH_RULE_CONNECT_RATE] * PGH_MILLION;
	state->filled_at = GetCurrentTimestamp();
	clear_counters(state);
}

/* ----------
 * Generations of the rules
 * ----------
 */

bool
pgh_rules_need_counts(const PghRuleSet *rules)
{
	for (int i = 0; i < rules->n; i++)
		if (rules->rule[i].value[PGH_RULE_CONNECTIONS] > 0 ||
			rules->rule[i].value[PGH_RULE_RESERVE] > 0)
			return true;
	return false;
}

bool
pgh_rules_are_present(const PghRuleSet *rules)
{
	return pg_atomic_read_u32(&present->generation) > 0 &&
		pg_atomic_read_u64(&present->rules_hash) == rules->hash;
}

bool
pgh_rules_are_counting(void)
{
	return pg_atomic_read_u32(&present->counting) != 0;
}

/*
 * Rules are as old as the process's last look at the configuration file.  When
 * the clock was set back the present ones may seem to be of the future, and
 * nobody's would be newer.
 */
bool
pgh_rules_are_newer(const PghRuleSet *rules, uint32 settings)
{
	return !pgh_rules_are_present(rules) &&
		(pg_atomic_read_u32(&present->generation) == 0 ||
		 (int32) (settings - present->settings) > 0);
}

void
pgh_rules_begin(const PghRuleSet *rules, uint32 settings)
{
	pg_atomic_write_u64(&present->rules_hash, rules->hash);
	pg_atomic_write_u32(&present->generation,
						pg_atomic_read_u32(&present->generation) + 1);
	pg_atomic_write_u32(&present->counting, pgh_rules_need_counts(rules));
	present->settings = settings;
	for (int i = 0; i < PGH_MAX_RULES; i++)
		pg_atomic_write_u32(&pgh_rule_states[i].sessions, 0);
	memset(members, 0, MaxConnections * sizeof(PghRuleBits));
	for (int i = 0; i < rules->n; i++)
		sync_state(&pgh_rule_states[i], &rules->rule[i]);

	/* Whoever releases a slot that we still see claimed sees "counting". */
	pg_memory_barrier();
}

/* ----------
 * Sessions counted under rules
 * ----------
 */

/* Under the lock: add "change" to the counts of these rules. */
static void
change_counts(const PghRuleBits *bits, int32 change)
{
	for (int w = 0; w < (int) lengthof(bits->word); w++)
		for (uint64 left = bits->word[w]; left != 0; left &= left - 1)
		{
			int			rule = w * 64 + pg_rightmost_one_pos64(left);

			(void) pg_atomic_fetch_add_u32(&pgh_rule_states[rule].sessions,
										   change);
		}
}

bool
pgh_rule_member_is(int index, const PghRuleBits *bits)
{
	return memcmp(&members[index], bits, sizeof(*bits)) == 0;
}

void
pgh_rule_member_set(int index, const PghRuleBits *bits)
{
	change_counts(&members[index], -1);
	if (bits == NULL)
		memset(&members[index], 0, sizeof(PghRuleBits));
	else
		members[index] = *bits;
	change_counts(&members[index], 1);
}

void
pgh_rule_member_leave(int index)
{
	pg_memory_barrier();
	if (!pgh_rules_are_counting())
		return;
	pgh_lock(&pgh_rule_counters_part, LW_EXCLUSIVE);
	pgh_rule_member_set(index, NULL);
	pgh_unlock(&pgh_rule_counters_part);
}

/* ----------
 * Rates
 * ----------
 */

bool
pgh_rule_rate_is_used_up(int i, TimestampTz now)
{
	const PghRule *rule = &pgh_current_rules()->rule[i];
	PghRuleState *state = &pgh_rule_states[i];
	int64		rate = rule->value[PGH_RULE_CONNECT_RATE];
	int64		most = rate * PGH_MILLION;
	int64		passed = Min(Max(now - state->filled_at, 0), USECS_PER_SEC);

	state->bucket = Min(state->bucket + passed * rate, most);
	state->filled_at = now;
	return state->bucket < PGH_MILLION;
}

void
pgh_rule_rate_take(int i)
{
	PghRuleState *state = &pgh_rule_states[i];

	state->bucket = Max(state->bucket - PGH_MILLION, 0);
}

/* ----------
 * The part
 * ----------
 */

static Size
size_rule_counters(void)
{
	Size		size = MAXALIGN(sizeof(PghPresentRules)) +
		PGH_MAX_RULES * sizeof(PghRuleState);

	return add_size(size, mul_size(MaxConnections, sizeof(PghRuleBits)));
}

static void
init_rule_counters(void *area)
{
	present = area;
	pgh_rule_states = (PghRuleState *)
		((char *) area + MAXALIGN(sizeof(PghPresentRules)));
	members = (PghRuleBits *) &pgh_rule_states[PGH_MAX_RULES];
	pg_atomic_init_u32(&present->generation, 0);
	pg_atomic_init_u32(&present->counting, 0);
	pg_atomic_init_u64(&present->rules_hash, 0);
	for (int i = 0; i < PGH_MAX_RULES; i++)
	{
		pg_atomic_init_u32(&pgh_rule_states[i].sessions, 0);
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

		if (!pgh_get(stream, &in, sizeof(in)) || in.index >= PGH_MAX_RULES ||
			!pgh_take_count(stream, in.refused) ||
			!pgh_take_count(stream, in.ended) || !pgh_is_time(in.last_used))
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
