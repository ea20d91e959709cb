/*-------------------------------------------------------------------------
 *
 * late.c
 *	  Signals that arrive late, to be preloaded into a server.
 *
 * Between the worker's last look at a session and its signal lies a moment in
 * which the session may go back to work.  It is microseconds long, unless the
 * worker loses its processor just then.  Here it always does, for up to two
 * milliseconds, before each SIGUSR2.
 *
 *-------------------------------------------------------------------------
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LATEST 2000000			/* nanoseconds */

int
kill(pid_t pid, int number)
{
	struct timespec late = {0, random() % LATEST};

	if (number == SIGUSR2)
		nanosleep(&late, NULL);
	return (int) syscall(SYS_kill, pid, number);
}
