/*-------------------------------------------------------------------------
 *
 * shared/accounts.c
 *	  Accounts: how many sessions of which roles count together.
 *
 * Owns: the pool of entries, one for each role of each account.  Must not:
 * know whose account it is.  Whoever calls it holds the lock of the
 * applications.
 *
 * The pool cannot run dry.  A session is in one account at rest, or in two
 * while it changes its name, and in that of the new applications besides,
 * which has no more entries than there are sessions.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/accounts.h"

#include "pure/slots.h"

/* An account's sessions of one role. */
typedef struct PghParty
{
	Oid			role;
	int32		connections;
	uint32		next;			/* the account's next one; 0 = none */
} PghParty;

/* Entry 0 is none; its "next" is the first of those that are free. */
static PghParty *parties = NULL;

static uint32
find(const PghAccount *account, Oid role)
{
	uint32		i = account->first;

	while (i != 0 && parties[i].role != role)
		i = parties[i].next;
	return i;
}

static uint32
find_or_make(PghAccount *account, Oid role)
{
	uint32		i = find(account, role);

	if (i != 0)
		return i;
	i = parties[0].next;
	Assert(i != 0);
	parties[0].next = parties[i].next;
	parties[i].role = role;
	parties[i].connections = 0;
	parties[i].next = account->first;
	account->first = i;
	return i;
}

static void
discard(PghAccount *account, uint32 i)
{
	uint32	   *link = &account->first;

	while (*link != i)
		link = &parties[*link].next;
	*link = parties[i].next;
	parties[i].next = parties[0].next;
	parties[0].next = i;
}

static void
change(PghAccount *account, uint32 i, int32 by)
{
	PghParty   *party = &parties[i];

	account->capped -= Min(party->connections, PGH_OTHER_ROLE_SHARE);
	party->connections += by;
	account->capped += Min(party->connections, PGH_OTHER_ROLE_SHARE);
	account->connections += by;
}

void
pgh_account_add(PghAccount *account, Oid role, int32 n)
{
	change(account, find_or_make(account, role), n);
}

void
pgh_account_take(PghAccount *account, Oid role, int32 n)
{
	uint32		i = find(account, role);

	Assert(i != 0 && parties[i].connections >= n);
	if (i == 0)
		return;
	change(account, i, -n);
	if (parties[i].connections <= 0)
		discard(account, i);
}

void
pgh_account_add_roles(PghAccount *account, const PghAccount *part)
{
	for (uint32 i = part->first; i != 0; i = parties[i].next)
		pgh_account_add(account, parties[i].role, 1);
}

void
pgh_account_take_roles(PghAccount *account, const PghAccount *part)
{
	for (uint32 i = part->first; i != 0; i = parties[i].next)
		pgh_account_take(account, parties[i].role, 1);
}

/* An entry is given back before one is taken, for there may be no other. */
void
pgh_account_pour(PghAccount *from, PghAccount *to)
{
	while (from->first != 0)
	{
		PghParty	party = parties[from->first];

		pgh_account_take(from, party.role, party.connections);
		pgh_account_add(to, party.role, party.connections);
	}
}

int32
pgh_account_own(const PghAccount *account, Oid role)
{
	return parties[find(account, role)].connections;
}

int32
pgh_account_held(const PghAccount *account, int32 own)
{
	return account->capped - Min(own, PGH_OTHER_ROLE_SHARE) + own;
}

/* ----------
 * The part
 * ----------
 */

static uint32
count_parties(void)
{
	return 1 + 3 * (uint32) MaxConnections;
}

static Size
size_accounts(void)
{
	return mul_size(count_parties(), sizeof(PghParty));
}

static void
init_accounts(void *area)
{
	parties = area;
	for (uint32 i = 0; i + 1 < count_parties(); i++)
		parties[i].next = i + 1;
}

PghPart		pgh_accounts_part = {
	.name = "accounts",
	.size = size_accounts,
	.init = init_accounts,
};
