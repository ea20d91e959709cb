/*-------------------------------------------------------------------------
 *
 * shared/accounts.h
 *	  Accounts: how many sessions of which roles count together.
 *
 * An account is what competes for slots: an application, or all those that
 * are new.  It lists its roles, because one role's sessions are no evidence
 * against another's: when a session of a role asks to be let in, what the
 * account holds is what that role holds, and no more than a few for each
 * other one.
 *
 * All of it, accounts and what they point to, is under the lock of the
 * applications, which hold the accounts: W under it exclusive, R shared.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_ACCOUNTS_H
#define PGH_ACCOUNTS_H

#include "shared/part.h"

/* Zeroed memory is an empty account. */
typedef struct PghAccount
{
	uint32		first;			/* of its roles, see accounts.c; 0 = none */
	int32		connections;
	int32		capped;			/* of each role PGH_OTHER_ROLE_SHARE at most */
} PghAccount;

extern PghPart pgh_accounts_part;

/* Count "n" sessions of a role in, or out. */
extern void pgh_account_add(PghAccount *account, Oid role, int32 n);
extern void pgh_account_take(PghAccount *account, Oid role, int32 n);

/* Count each role of "part" in, or out, as if it were one session. */
extern void pgh_account_add_roles(PghAccount *account,
								  const PghAccount *part);
extern void pgh_account_take_roles(PghAccount *account,
								   const PghAccount *part);

/* Count everything in "from" in "to" instead; "from" is empty then. */
extern void pgh_account_pour(PghAccount *from, PghAccount *to);

/* How many sessions of this role it has. */
extern int32 pgh_account_own(const PghAccount *account, Oid role);

/* What it holds when a session of a role that holds "own" of it asks. */
extern int32 pgh_account_held(const PghAccount *account, int32 own);

#endif							/* PGH_ACCOUNTS_H */
