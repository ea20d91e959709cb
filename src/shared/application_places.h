/*-------------------------------------------------------------------------
 *
 * shared/application_places.h
 *	  The places of the table of applications.
 *
 * For shared/applications.c; others use what stands in shared/applications.h.
 * All of it: W under the table's lock exclusive; R under it shared.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_APPLICATION_PLACES_H
#define PGH_APPLICATION_PLACES_H

#include "shared/application.h"

/*
 * The sum of the applications that the table has no place for, or none any
 * more: its place is 0.  Nothing is decided by it.
 */
#define PGH_OTHER_APPLICATIONS "(other applications)"
#define PGH_OTHERS 0

/* What an id stands for, or stood for before it became a family. */
typedef struct PghApplicationId
{
	uint32		id;
	char		name[PGH_NAME_LEN];
} PghApplicationId;

extern PghApplication *pgh_applications;
extern int	pgh_n_applications; /* places in the table; constant after
								 * start-up */

/*
 * How many applications there are that have sessions and are not established,
 * by role, each as one session: none of their sessions has closed in good
 * order or ended three transactions, and no rule names them.
 */
extern PghAccount *pgh_newcomers;

/* The first place of the names that have this hash, among others; 0 = none. */
extern uint32 pgh_places_first(uint32 hash);

/*
 * A place for a new name, tentative and resting; PGH_OTHERS when there is
 * none to be had.
 */
extern uint32 pgh_place_take(const char *name, uint32 hash);

/* It is not tentative any more, for which another one may be taken back. */
extern void pgh_place_keep(uint32 index);

/* A place without sessions begins to rest, or ceases to. */
extern void pgh_place_rest(uint32 index);
extern void pgh_place_wake(uint32 index);

/* Give a place back that does not rest, with what it has counted. */
extern void pgh_place_give_back(uint32 index);

/* The same when everything of "from" counts in "to": its id does, too. */
extern void pgh_place_give_up(uint32 from, uint32 to);

/* The one that is taken back next; 0 = none rests. */
extern uint32 pgh_place_dispensable(void);

/* Take one back if too many rest that are of little use. */
extern void pgh_places_trim(void);

/* Is there a place to rest for a name that nobody was let in under? */
extern bool pgh_place_is_spare(void);

/* Something is counted for the others. */
extern void pgh_place_note_others(void);

/* What has become of an id, as far as that is known. */
extern uint32 pgh_place_alias(uint32 id);

/* Copy all ids that mean something; there is room for the most. */
extern int	pgh_place_ids(PghApplicationId *ids);
extern int	pgh_place_most_ids(void);

/*
 * What is kept elsewhere for place "from" is that of "into" from now on; set
 * by who keeps it when shared memory is set up.  Called under the table's
 * lock; the one lock that may be taken inside it is the callee's.
 */
extern void (*pgh_place_moved) (uint32 into, uint32 from);

/* How many places there are; once max_applications is fixed. */
extern int	pgh_application_places(void);

extern Size pgh_places_size(void);
extern void pgh_places_init(void *area);

#endif							/* PGH_APPLICATION_PLACES_H */
