/*
 * A network with nothing but the clone in it: see tool_network.h.
 *
 * A socket belongs to the network namespace in which it was made, whoever holds it later. So a child of ours goes into
 * a new namespace, makes a listening socket there, and hands it, and the namespace itself, back to us (SCM_RIGHTS,
 * unix(7)). We are a program with threads: the child calls nothing but async-signal-safe functions.
 */
#include "tool_network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKLOG 64
#define FDS_MAX 3

/* What the child says: which of its steps failed, or that the descriptors are with it. */
struct answer {
	int error; /* errno, 0 when all went well */
	int fd_count;
};

/* Descriptors beside the answer; the union makes the space aligned. */
union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int) * FDS_MAX)];
};

/* The text of the map that gives us our own number in the user namespace. */
struct id_maps {
	char user[32];
	char group[32];
};

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	size_t len = strlen(text);
	bool good = write(fd, text, len) == (ssize_t)len;
	(void)close(fd);
	return good;
}

/* Into a new network namespace; *with_user: it took a user namespace too. */
static bool enter_new_namespace(const struct id_maps *maps, bool *with_user)
{
	*with_user = false;
	if (unshare(CLONE_NEWNET) == 0)
		return true;
	*with_user = true;
	return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && write_file("/proc/self/setgroups", "deny") &&
	       write_file("/proc/self/uid_map", maps->user) && write_file("/proc/self/gid_map", maps->group);
}

/* A new namespace's loopback device is there, and down. */
static bool raise_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool good = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
	(void)close(fd);
	return good;
}

static int listen_on_loopback(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	return -1;
}

static void send_answer(int channel, const int *fds, int count)
{
	struct answer answer = {.error = count ? 0 : errno, .fd_count = count};
	union control control;
	struct iovec data = {.iov_base = &answer, .iov_len = sizeof(answer)};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
	memset(&control, 0, sizeof(control));
	if (count) {
		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)count);
	}
	ssize_t ignored = sendmsg(channel, &message, MSG_NOSIGNAL);
	(void)ignored;
}

/* The child's whole life. */
__attribute__((noreturn)) static void make_network(int channel, const struct id_maps *maps)
{
	bool with_user;
	int fds[FDS_MAX] = {-1, -1, -1};
	bool good = enter_new_namespace(maps, &with_user) && raise_loopback() && (fds[0] = listen_on_loopback()) >= 0 &&
		    (fds[1] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) >= 0 &&
		    (!with_user || (fds[2] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC)) >= 0);
	send_answer(channel, fds, !good ? 0 : with_user ? 3 : 2);
	_exit(0);
}

/* 0, or errno of what the child could not do. */
static int receive_answer(int channel, struct tool_network *network)
{
	struct answer answer = {.error = EPIPE};
	union control control;
	struct iovec data = {.iov_base = &answer, .iov_len = sizeof(answer)};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control.space,
				 .msg_controllen = sizeof(control.space)};
	int fds[FDS_MAX] = {0};
	ssize_t got;
	do {
		got = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(answer))
		return EPIPE;
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (answer.error || answer.fd_count < 2 || answer.fd_count > FDS_MAX || !header ||
	    header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int) * (size_t)answer.fd_count))
		return answer.error ? answer.error : EPIPE;
	memcpy(fds, CMSG_DATA(header), sizeof(int) * (size_t)answer.fd_count);
	network->listen_fd = fds[0];
	network->net_fd = fds[1];
	network->user_fd = fds[2];
	return 0;
}

int tool_network_init(struct tool_network *network, struct error *err)
{
	int channel[2];
	struct id_maps maps;
	memset(network, 0, sizeof(*network));
	(void)snprintf(maps.user, sizeof(maps.user), "%u %u 1", (unsigned)geteuid(), (unsigned)geteuid());
	(void)snprintf(maps.group, sizeof(maps.group), "%u %u 1", (unsigned)getegid(), (unsigned)getegid());
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) != 0)
		return error_set_errno(err, ERR_INTERNAL, "cannot make a pair of sockets");
	pid_t pid = fork();
	if (pid == 0)
		make_network(channel[1], &maps);
	(void)close(channel[1]);
	int number = pid < 0 ? errno : receive_answer(channel[0], network);
	(void)close(channel[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	errno = number;
	return number ? error_set_errno(err, ERR_UNAVAILABLE, "this machine makes no network namespace for us") : 0;
}

void tool_network_release(struct tool_network *network)
{
	if (network->listen_fd > 0)
		(void)close(network->listen_fd);
	if (network->net_fd > 0)
		(void)close(network->net_fd);
	if (network->user_fd > 0)
		(void)close(network->user_fd);
	memset(network, 0, sizeof(*network));
}
