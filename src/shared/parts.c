/*-------------------------------------------------------------------------
 *
 * shared/parts.c
 *	  The list of the parts of shared memory.
 *
 * Owns: the list; a new part is a file of its own and a line here.  Must not:
 * hold code.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/parts.h"

#include "shared/accounts.h"
#include "shared/applications.h"
#include "shared/behaviour.h"
#include "shared/drains.h"
#include "shared/events.h"
#include "shared/incidents.h"
#include "shared/leaks.h"
#include "shared/refusals.h"
#include "shared/rule_counters.h"
#include "shared/rule_labels.h"
#include "shared/samples.h"
#include "shared/settings.h"
#include "shared/slot.h"
#include "shared/told.h"
#include "shared/totals.h"
#include "shared/waiting.h"
#include "shared/worker_state.h"

PghPart    *const pgh_parts[] = {
	&pgh_settings_part,
	&pgh_totals_part,
	&pgh_worker_state_part,
	&pgh_accounts_part,
	&pgh_applications_part,
	&pgh_slots_part,
	&pgh_waiting_part,
	&pgh_drains_part,
	&pgh_behaviour_part,
	&pgh_rule_counters_part,
	&pgh_rule_labels_part,
	&pgh_refusals_part,
	&pgh_told_part,
	&pgh_events_part,
	&pgh_leaks_part,
	&pgh_samples_part,
	&pgh_incidents_part,
	NULL
};
