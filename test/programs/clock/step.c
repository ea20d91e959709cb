/*-------------------------------------------------------------------------
 *
 * step.c
 *	  A library that moves the system clock for the programs it is preloaded
 *	  into, and for nobody else.
 *
 * The environment variable PGH_CLOCK names a file of eight bytes: how many
 * microseconds to add, as an integer of this machine.  Whoever writes there
 * sets the clock of all these programs at once.  Clocks that nobody can set
 * (CLOCK_MONOTONIC) go on as they do in truth.
 *
 *-------------------------------------------------------------------------
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t no_offset = 0;
static const volatile int64_t *offset = &no_offset;
static int	(*true_clock_gettime) (clockid_t, struct timespec *);

__attribute__((constructor))
static void
find_offset(void)
{
	const char *name = getenv("PGH_CLOCK");
	int			fd = name ? open(name, O_RDONLY) : -1;
	void	   *map = MAP_FAILED;

	true_clock_gettime = (int (*) (clockid_t, struct timespec *))
		dlsym(RTLD_NEXT, "clock_gettime");
	if (fd >= 0)
	{
		map = mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);
		close(fd);
	}
	if (map != MAP_FAILED)
		offset = map;
}

int
clock_gettime(clockid_t clock, struct timespec *t)
{
	int			result = true_clock_gettime(clock, t);
	int64_t		shift = *offset;

	if (result != 0 || (clock != CLOCK_REALTIME &&
						clock != CLOCK_REALTIME_COARSE))
		return result;
	t->tv_sec += shift / 1000000;
	t->tv_nsec += shift % 1000000 * 1000;
	if (t->tv_nsec >= 1000000000)
	{
		t->tv_sec++;
		t->tv_nsec -= 1000000000;
	}
	else if (t->tv_nsec < 0)
	{
		t->tv_sec--;
		t->tv_nsec += 1000000000;
	}
	return 0;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	tv->tv_sec = t.tv_sec;
	tv->tv_usec = t.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *result)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (result)
		*result = t.tv_sec;
	return t.tv_sec;
}
