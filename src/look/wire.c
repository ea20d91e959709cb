/*-------------------------------------------------------------------------
 *
 * look/wire.c
 *	  Whether anything moves between a backend and its client.
 *
 * Owns: what is asked of the kernel about that.  Must not: wait, lock,
 * allocate or raise an error: a backend asks in its signal handler.
 *
 * TCP, with or without TLS
 * ------------------------
 * The kernel counts the bytes that have arrived at each end of a connection,
 * and knows how many of them nobody has read yet.  It tells everybody on the
 * machine who asks by the addresses and ports (NETLINK_SOCK_DIAG).  What a
 * client sends is counted at the server's end.  What it reads is counted at its
 * own: bytes that have arrived less those that are unread.  So that end must be
 * on this machine, and in the server's network.  Another machine's kernel tells
 * what it has taken itself, not what its client has: a client that reads slowly
 * looks for a long time like one that does not read.
 *
 * Unix-domain sockets, and whatever else there is
 * -----------------------------------------------
 * Nothing is counted there.  But a byte that arrives wakes the backend that
 * waits for it; so as long as the backend has run none of its code, none has
 * arrived.  How long a process has run the kernel tells in nanoseconds, and
 * without disturbing it.  And what lies unread in the client's end of a
 * Unix-domain socket is known to the byte; as long as the backend has not run,
 * it puts none in, and one that was read is missing.  A signal wakes a backend,
 * too.  It then seems as if something had moved, which spares the client.
 *
 * The last look
 * -------------
 * is the backend's own, in its signal handler.  It has not gone on since the
 * worker looked if it has begun to wait as often as then; the signal itself
 * does not change that number.  A byte that came just now lies in the socket,
 * or has ended the wait, or has been counted.  (One that a backend at a
 * Unix-domain socket has already taken, without having begun to wait again, in
 * the microseconds before this, is not seen; but it came after the limit was
 * over.)
 *
 *-------------------------------------------------------------------------
 */
#include "look/wire.h"

#ifdef __linux__

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <netinet/in.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>

#endif

/* An IPv6 connection whose two ends have one address. */
#define PGH_WIRE_SAME_ADDRESS 1

/*
 * Where tcpi_bytes_received lies in what the kernel says of a TCP connection,
 * which not every C library's struct tcp_info has.
 */
#define PGH_BYTES_RECEIVED 128

/* A clock that goes in steps is no proof of anything. */
#define PGH_FINE_CLOCK 100000	/* nanoseconds */
#define PGH_CLOCK_TRIALS 1000

PghAwaits
pgh_wire_awaits(int proc_number)
{
	volatile PGPROC *proc = &ProcGlobal->allProcs[proc_number];

	switch (proc->wait_event_info)
	{
		case WAIT_EVENT_CLIENT_READ:
			return PGH_AWAITS_BYTES;
		case WAIT_EVENT_CLIENT_WRITE:
			return PGH_AWAITS_ROOM;
		default:
			return PGH_AWAITS_NOTHING;
	}
}

#ifdef __linux__

/* ----------
 * What is in the sockets
 * ----------
 */

/* One question about one socket, or the answer to it. */
typedef struct PghSocketMessage
{
	struct nlmsghdr header;
	union
	{
		struct unix_diag_req ask_unix;
		struct inet_diag_req_v2 ask_tcp;
		struct unix_diag_msg unix_domain;
		struct inet_diag_msg tcp;
		char		room[1024];
	}			body;
} PghSocketMessage;

/* Ask about one socket.  The kernel answers before send() returns. */
static bool
ask(PghSocketMessage *message, size_t size, size_t least)
{
	int			fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
							NETLINK_SOCK_DIAG);
	ssize_t		received = -1;

	if (fd < 0)
		return false;
	message->header.nlmsg_len = NLMSG_LENGTH(size);
	message->header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	message->header.nlmsg_flags = NLM_F_REQUEST;
	if (send(fd, message, message->header.nlmsg_len, 0) ==
		(ssize_t) message->header.nlmsg_len)
		received = recv(fd, message, sizeof(*message), MSG_DONTWAIT);
	close(fd);
	return received >= (ssize_t) NLMSG_LENGTH(least) &&
		NLMSG_OK(&message->header, received) &&
		message->header.nlmsg_type == SOCK_DIAG_BY_FAMILY &&
		message->header.nlmsg_len >= NLMSG_LENGTH(least);
}

/*
 * What else the answer says of this kind, or NULL.  "head" is the size of what
 * comes first.
 */
static const void *
find_attribute(PghSocketMessage *message, size_t head, int type, size_t least)
{
	struct rtattr *attribute = (struct rtattr *)
		(message->body.room + NLMSG_ALIGN(head));
	int			left = (int) (message->header.nlmsg_len -
							  NLMSG_LENGTH(NLMSG_ALIGN(head)));

	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if (attribute->rta_type == type && RTA_PAYLOAD(attribute) >= least)
			return RTA_DATA(attribute);
	return NULL;
}

/* What the kernel says of the Unix-domain socket with this number. */
static const void *
ask_unix(PghSocketMessage *message, uint32 inode, uint32 show, int type,
		 size_t least)
{
	struct unix_diag_req *question = &message->body.ask_unix;

	memset(message, 0, sizeof(*message));
	question->sdiag_family = AF_UNIX;
	question->udiag_states = ~0U;
	question->udiag_ino = inode;
	question->udiag_show = show;
	question->udiag_cookie[0] = question->udiag_cookie[1] = ~0U;
	if (!ask(message, sizeof(*question), sizeof(struct unix_diag_msg)) ||
		message->body.unix_domain.udiag_ino != inode)
		return NULL;
	return find_attribute(message, sizeof(struct unix_diag_msg), type, least);
}

static bool
unread_unix(uint32 inode, uint32 *unread)
{
	PghSocketMessage message;
	const uint32 *peer = ask_unix(&message, inode, UDIAG_SHOW_PEER,
								  UNIX_DIAG_PEER, sizeof(uint32));
	const struct unix_diag_rqlen *length;

	if (peer == NULL || *peer == 0)
		return false;
	length = ask_unix(&message, *peer, UDIAG_SHOW_RQLEN, UNIX_DIAG_RQLEN,
					  sizeof(struct unix_diag_rqlen));
	if (length == NULL)
		return false;
	*unread = length->udiag_rqueue;
	return true;
}

/*
 * The client's end of a TCP connection: who is at it, and who at the other
 * one.  False when that is not known.
 */
static bool
name_far_end(const SockAddr *client, uint32 wire_id,
			 struct inet_diag_sockid *id)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *) &client->addr;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) &client->addr;

	memset(id, 0, sizeof(*id));
	id->idiag_dport = htons((uint16) PostPortNumber);
	id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	if (client->addr.ss_family == AF_INET)
	{
		id->idiag_sport = v4->sin_port;
		memcpy(&id->idiag_src[0], &v4->sin_addr, 4);
		memcpy(&id->idiag_dst[0], &wire_id, 4);
		return wire_id != 0;
	}
	id->idiag_sport = v6->sin6_port;
	memcpy(id->idiag_src, &v6->sin6_addr, 16);
	memcpy(id->idiag_dst, &v6->sin6_addr, 16);
	return wire_id == PGH_WIRE_SAME_ADDRESS;
}

static void
swap_ends(struct inet_diag_sockid *id)
{
	struct inet_diag_sockid old = *id;

	id->idiag_sport = old.idiag_dport;
	id->idiag_dport = old.idiag_sport;
	memcpy(id->idiag_src, old.idiag_dst, sizeof(id->idiag_src));
	memcpy(id->idiag_dst, old.idiag_src, sizeof(id->idiag_dst));
}

/*
 * How many bytes were read at this end, modulo 2^32.  A question about a port
 * may be answered with who listens there.
 */
static bool
count_read(const struct inet_diag_sockid *id, int family, uint32 *number)
{
	PghSocketMessage message;
	struct inet_diag_req_v2 *question = &message.body.ask_tcp;
	const struct inet_diag_msg *answer = &message.body.tcp;
	const char *info;
	uint64		received;

	memset(&message, 0, sizeof(message));
	question->sdiag_protocol = IPPROTO_TCP;
	question->idiag_ext = 1 << (INET_DIAG_INFO - 1);
	question->idiag_states = ~0U;
	question->id = *id;
	question->sdiag_family = family;
	if (!ask(&message, sizeof(*question), sizeof(*answer)) ||
		answer->idiag_state == TCP_LISTEN ||
		answer->id.idiag_sport != id->idiag_sport ||
		answer->id.idiag_dport != id->idiag_dport)
		return false;
	info = find_attribute(&message, sizeof(*answer), INET_DIAG_INFO,
						  PGH_BYTES_RECEIVED + sizeof(received));
	if (info == NULL)
		return false;
	memcpy(&received, info + PGH_BYTES_RECEIVED, sizeof(received));
	*number = (uint32) received - answer->idiag_rqueue;
	return true;
}

static bool
count_tcp(const SockAddr *client, uint32 wire_id, PghAwaits awaits,
		  uint32 *number)
{
	struct inet_diag_sockid id;

	if (!name_far_end(client, wire_id, &id))
		return false;
	if (awaits == PGH_AWAITS_BYTES)
		swap_ends(&id);
	return count_read(&id, client->addr.ss_family, number);
}

PghSight
pgh_wire_look(const SockAddr *client, uint32 wire_id, PghAwaits awaits,
			  uint32 *number)
{
	const int	family = client->addr.ss_family;

	*number = 0;
	if ((family == AF_INET || family == AF_INET6) &&
		count_tcp(client, wire_id, awaits, number))
		return PGH_SIGHT_COUNTED;
	if (awaits == PGH_AWAITS_BYTES ||
		(family == AF_UNIX && unread_unix(wire_id, number)))
		return PGH_SIGHT_AT_REST;
	return PGH_SIGHT_NONE;
}

/*
 * Of a Unix-domain socket its number, of IPv4 the server's own address, and of
 * IPv6, where that is too long, whether both ends have the same.
 */
uint32
pgh_wire_id(const Port *port)
{
	const struct sockaddr_in *v4 = (const void *) &port->laddr.addr;
	const struct sockaddr_in6 *v6 = (const void *) &port->laddr.addr;
	const struct sockaddr_in6 *peer = (const void *) &port->raddr.addr;
	uint32		address;
	struct stat status;

	switch (port->raddr.addr.ss_family)
	{
		case AF_UNIX:
			return fstat(port->sock, &status) == 0 ? (uint32) status.st_ino : 0;
		case AF_INET:
			memcpy(&address, &v4->sin_addr, sizeof(address));
			return address;
		case AF_INET6:
			return memcmp(&v6->sin6_addr, &peer->sin6_addr, 16) == 0 ?
				PGH_WIRE_SAME_ADDRESS : 0;
		default:
			return 0;
	}
}

/* ----------
 * Whether a process has run
 * ----------
 */

bool
pgh_wire_has_run(int pid, uint64 *nanoseconds)
{
	clockid_t	clock;
	struct timespec t;

	if (clock_getcpuclockid(pid, &clock) != 0 ||
		clock_gettime(clock, &t) != 0)
		return false;
	*nanoseconds = (uint64) t.tv_sec * 1000000000 + t.tv_nsec;
	return true;
}

/*
 * Where the kernel is only imitated, such a clock may go in steps of
 * milliseconds, and stand still for a process that has run.
 */
static bool
clock_is_fine(void)
{
	uint64		last = 0;
	uint64		ran = 0;
	int			steps = 0;

	if (!pgh_wire_has_run(MyProcPid, &last))
		return false;
	for (int i = 0; i < PGH_CLOCK_TRIALS; i++)
	{
		if (!pgh_wire_has_run(MyProcPid, &ran))
			return false;
		steps += ran > last && ran - last < PGH_FINE_CLOCK;
		last = ran;
	}
	return steps > PGH_CLOCK_TRIALS / 2;
}

/* Both numbers in one: it is another one as soon as one of them is. */
static uint32
mix(uint32 switches, uint32 number)
{
	return switches * UINT32_C(2654435769) ^ number;
}

/* How often the process has begun to wait, as it sees that itself, too. */
static bool
read_switches(int pid, uint32 *switches)
{
	static const char label[] = "\nvoluntary_ctxt_switches:";
	char		path[32];
	char		status[4096];
	const char *found;
	ssize_t		size;
	int			fd;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	size = read(fd, status, sizeof(status) - 1);
	close(fd);
	if (size <= 0)
		return false;
	status[size] = '\0';
	found = strstr(status, label);
	if (found == NULL)
		return false;
	*switches = (uint32) strtoul(found + sizeof(label) - 1, NULL, 10);
	return true;
}

bool
pgh_wire_digest(int pid, PghSight sight, uint32 number, uint32 *digest)
{
	uint32		switches = 0;

	if (sight == PGH_SIGHT_NONE ||
		(sight == PGH_SIGHT_AT_REST && !read_switches(pid, &switches)))
		return false;
	*digest = mix(switches, number);
	return true;
}

/* Does nothing lie in the socket that this backend waits for? */
static bool
socket_is_still(PghAwaits awaits)
{
	struct pollfd socket = {.fd = MyProcPort->sock,
		.events = awaits == PGH_AWAITS_BYTES ? POLLIN : POLLOUT};

	return poll(&socket, 1, 0) == 0;
}

bool
pgh_wire_is_still(uint32 wire_id, uint32 digest)
{
	PghAwaits	awaits = pgh_wire_awaits(pgh_my_proc_number());
	struct rusage usage;
	PghSight	sight;
	uint32		number;

	if (awaits == PGH_AWAITS_NOTHING || !socket_is_still(awaits) ||
		getrusage(RUSAGE_THREAD, &usage) != 0)
		return false;
	sight = pgh_wire_look(&MyProcPort->raddr, wire_id, awaits, &number);
	if (sight == PGH_SIGHT_NONE)
		return false;
	return mix(sight == PGH_SIGHT_AT_REST ? (uint32) usage.ru_nvcsw : 0,
			   number) == digest;
}

bool
pgh_wire_can_be_seen(void)
{
	static bool tried = false;
	static bool can = false;
	uint32		digest;

	if (!tried)
		can = clock_is_fine() &&
			pgh_wire_digest(MyProcPid, PGH_SIGHT_AT_REST, 0, &digest);
	tried = true;
	return can;
}

#else							/* not Linux */

PghSight
pgh_wire_look(const SockAddr *client, uint32 wire_id, PghAwaits awaits,
			  uint32 *number)
{
	*number = 0;
	return PGH_SIGHT_NONE;
}

uint32
pgh_wire_id(const Port *port)
{
	return 0;
}

bool
pgh_wire_has_run(int pid, uint64 *nanoseconds)
{
	return false;
}

bool
pgh_wire_digest(int pid, PghSight sight, uint32 number, uint32 *digest)
{
	return false;
}

bool
pgh_wire_is_still(uint32 wire_id, uint32 digest)
{
	return false;
}

bool
pgh_wire_can_be_seen(void)
{
	return false;
}

#endif
