/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  The settings pg_hygiene.*, as this process has them now.
 *
 * Each process reads its own copy: the worker's decides what happens to
 * sessions, a connecting backend's (which is the postmaster's at its fork)
 * who is let in.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_GUC_H
#define PGH_GUC_H

#include "compat.h"
#include "pure/rules.h"

/* Of the library; META.json and CHANGELOG.md have the same. */
#define PGH_VERSION "1.0.0"

/* The most that max_events and max_applications may be. */
#define PGH_MAX_HISTORY 1000000

extern int	pgh_mode;			/* PghMode */
extern int	pgh_limit_setting[PGH_N_LIMITS];	/* milliseconds, or ids */
extern int	pgh_connections_per_application;
extern int	pgh_warn_at;		/* percent */
extern int	pgh_max_events;
extern int	pgh_max_applications;
extern bool pgh_tell_client;
extern bool pgh_application_families;

/*
 * Can a transaction be ended without its session on this server?  Set once,
 * by _PG_init(); where not, PGH_IDLE_TERMINATE holds whatever is set.
 */
extern bool pgh_can_roll_back;

/* Does the setting or a rule ask for that? */
extern bool pgh_rollback_is_wanted(void);

/*
 * The settings that decide who is let in, but for the rules; all others that
 * decide anything are PGH_N_PUBLISHED.
 */
typedef enum PghPublished
{
	PGH_PUBLISHED_MODE,
	PGH_PUBLISHED_CONNECTIONS_PER_APPLICATION,
	PGH_PUBLISHED_HEADROOM,
	PGH_PUBLISHED_EXEMPT_SUPERUSERS,
	PGH_PUBLISHED_ADMISSION_WAIT,	/* milliseconds */
	PGH_N_PUBLISHED
} PghPublished;

/*
 * Called when a setting gets a value, before it has it; for shared/settings.c.
 * They may be NULL, must not fail, and may be called in a signal handler.
 */
extern void (*pgh_note_setting) (PghPublished which, int value);
extern void (*pgh_note_rules) (const char *text);

/*
 * What this process has of these: PGH_N_PUBLISHED values, and a text of at most
 * PGH_RULES_TEXT_LEN.
 */
extern void pgh_published_settings(int *values, char *rules);

/*
 * Go by these until they are read again.  False when there is no memory, or
 * the rules cannot be parsed; then nothing has changed.
 */
extern bool pgh_use_settings(const int *values, const char *rules);

/*
 * The shortest headroom_min_idle that may hold for anybody, in microseconds.
 */
extern int64 pgh_shortest_min_idle(void);

/* Define the settings.  Only while the library is being preloaded. */
extern void pgh_define_settings(void);

/*
 * The rules in force in this process, with the hash of all of them; never
 * NULL.
 */
extern const PghRuleSet *pgh_current_rules(void);

/* The server-wide limits, before any rule. */
extern void pgh_server_limits(PghLimits *limits);

/*
 * Which rules match an identity now, and the limits that follow, by the
 * settings that this process has.
 */
extern void pgh_limits_for(const PghIdentity *who, TimestampTz now,
						   PghRuleBits *bits, PghLimits *limits);

/* The same for a list of rules that is not in force. */
extern void pgh_limits_under(const PghRuleSet *rules,
							 const PghLimits *server_wide,
							 const PghIdentity *who, TimestampTz now,
							 PghRuleBits *bits, PghLimits *limits);

/*
 * The shortest time limit that may hold for anybody, in microseconds, or
 * PGH_NEVER: no session that begins to be idle now can be due sooner.
 */
extern int64 pgh_shortest_limit(void);

/* Is this a limit for anybody? */
extern bool pgh_is_limited(PghLimit limit);

/* Free slots to keep: the setting, or pgh_automatic_headroom(). */
extern int	pgh_effective_headroom(void);

/*
 * Warn of what may be a mistake in rules that can be read: one that has no
 * effect, one whose time is over, the default rule lost.  Raises WARNINGs.
 */
extern void pgh_warn_of_rules(const PghRuleSet *rules, TimestampTz now);

/*
 * Parse rules text into palloc'd memory of the current context.  Raises
 * invalid_parameter_value with the position and what was expected.
 */
extern PghRuleSet *pgh_parse_rules_or_error(const char *text);

/* The same for the selectors of one rule. */
extern void pgh_parse_selectors_or_error(const char *text, PghRule *rule);

#endif							/* PGH_GUC_H */
