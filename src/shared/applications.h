/*-------------------------------------------------------------------------
 *
 * shared/applications.h
 *	  The table of applications: who is one, and its counters.
 *
 * All of it: W under the lock exclusive; R under it shared.  The applications
 * themselves: see shared/application.h.
 *
 * An index is good for as long as the lock is held.  Beyond that it may come
 * to be another application's: a place without sessions is taken back when
 * another name needs it, and when a family becomes one application, the
 * places of its names are.  What a session counts for is asked of
 * shared/members.h each time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_APPLICATIONS_H
#define PGH_APPLICATIONS_H

#include "shared/application_places.h"

#define PGH_NO_APPLICATION UINT32_MAX

/* What those are called that are new here, where they are not told apart. */
#define PGH_NEWCOMERS "(newcomers)"

/* So many names of a family are applications of their own. */
#define PGH_FAMILY_SIZE 8

extern PghPart pgh_applications_part;

/* ----------
 * Under the lock, exclusive
 * ----------
 */

/*
 * The place that a name of less than PGH_NAME_LEN bytes counts in, which may
 * be its family's.  A name that has none gets one, as tentative, until
 * pgh_place_keep() says that somebody was let in; or 0 where there is
 * none to be had.  "moved" is called for each place of which everything counts
 * in another one from now on, before it is taken back.
 */
typedef void (*PghMoved) (uint32 from, uint32 to);
extern uint32 pgh_application_place(const char *name, PghMoved moved);

/* Count a session of this role in, or out. */
extern void pgh_application_count_in(uint32 index, Oid role);
extern void pgh_application_count_out(uint32 index, Oid role);

/*
 * Somebody asks to count for it, or does not ask any more: the place is kept
 * for it meanwhile, but it counts for nothing.
 */
extern void pgh_application_pin(uint32 index);
extern void pgh_application_unpin(uint32 index);

/* From now on it is not new any more. */
extern void pgh_application_establish(uint32 index);

/* ----------
 * Under the lock, at least shared
 * ----------
 */

/* The place that a name counts in, PGH_NO_APPLICATION if it has none. */
extern uint32 pgh_application_find(const char *name);

/*
 * Where an application is that had this id in place "index" a while ago: in
 * the place of its family, if it has become part of that, or in that of the
 * others, if its place was taken back.
 */
extern uint32 pgh_application_by_id(uint32 index, uint32 id);

/* ----------
 * Without the lock
 * ----------
 */

/* The same, for what may have changed again a moment later. */
extern uint32 pgh_application_follow(uint32 index, uint32 id);

/* The id of what is in a place. */
extern uint32 pgh_application_id(uint32 index);

/*
 * The names that ids stand for, in the order of the ids; the caller owns the
 * array.  An error may be raised.
 */
extern PghApplicationId *pgh_application_ids(int *n);

#endif							/* PGH_APPLICATIONS_H */
