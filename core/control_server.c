/*
 * Requests and answers, a connection at a time. Layer: control; see control_server.h.
 *
 * A connection is either receiving a request or sending its answer. It is read from as far as its request goes, and
 * no further, so that what a peer sends ahead waits in the kernel, and each gets one request served in turn.
 */
#include "control_server.h"
#include "os_file.h"

#include <errno.h>

#define HEAD_SIZE ((uint32_t)sizeof(struct uslub_control_request))
/* A request or an answer that stands still for so long is given up. */
#define STALL_MS 10000U
/* What has been silent for so long makes room for another connection. */
#define SILENT_MS 100U
#define PAUSE_MS 100

/* Behind the connections. */
#define LISTENER MAX_CONNECTIONS
#define EVENTS (MAX_CONNECTIONS + 1)
#define NR_POLLS (MAX_CONNECTIONS + 2)
static_assert(NR_POLLS <= OS_POLL_MAX, "all of them are polled at once");

void control_server_init(struct control_server *server, int listener, int events)
{
	server->listener = listener;
	server->events = events;
	server->pausing = server->is_told = false;
	for (uint32_t i = 0; i < MAX_CONNECTIONS; i++)
		server->connections[i].fd = -1;
}

static void hang_up(struct control_connection *c)
{
	os_close(c->fd);
	c->fd = -1;
}

static bool is_sending(const struct control_connection *c)
{
	return c->to_send != 0;
}

static bool is_stalled(const struct control_connection *c, uint64_t now)
{
	return c->fd >= 0 && (is_sending(c) || c->have) && now - c->active > STALL_MS;
}

static void send_answer(struct control_connection *c)
{
	long n = os_send(c->fd, (char *)&c->answer + c->sent, c->to_send - c->sent);

	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n <= 0) {
		hang_up(c);
		return;
	}
	c->active = os_clock_ms();
	c->sent += (uint32_t)n;
	if (c->sent < c->to_send)
		return;
	c->to_send = 0;
	if (c->hang_up)
		hang_up(c);
}

static void answer(struct control_connection *c, int error, size_t len)
{
	c->answer.head = (struct uslub_control_answer){
		USLUB_CONTROL_MAGIC,
		(uint32_t)error,
		error ? 0 : (uint32_t)len,
		c->request.head.tag,
	};
	c->sent = 0;
	c->to_send = (uint32_t)sizeof(c->answer.head) + c->answer.head.data_len;
	c->have = 0;
	send_answer(c);
}

/* What is no request can't be followed by one. */
static void refuse(struct control_connection *c, int error)
{
	c->hang_up = true;
	answer(c, error, 0);
}

static bool is_request(const struct uslub_control_request *head)
{
	return head->magic == USLUB_CONTROL_MAGIC && head->path_len <= USLUB_CONTROL_MAX_PATH &&
	       head->data_len <= UINT16_MAX;
}

static void serve(struct control_connection *c)
{
	const struct uslub_control_request *head = &c->request.head;
	const char *path = c->request.text;
	struct control_out out = {c->answer.text, sizeof(c->answer.text), 0};
	int error = EINVAL;

	switch (head->op) {
	case USLUB_CONTROL_LIST:
		error = control_list(path, head->path_len, &out);
		break;
	case USLUB_CONTROL_STAT:
		error = control_stat(path, head->path_len, &out);
		break;
	case USLUB_CONTROL_READ:
		error = control_show(path, head->path_len, &out);
		break;
	case USLUB_CONTROL_WRITE:
		error = control_store(path, head->path_len, path + head->path_len, head->data_len);
		break;
	default:
		break;
	}
	answer(c, error, out.len);
}

/* How long the request is, as far as that is known. */
static uint32_t wanted(const struct control_connection *c)
{
	if (c->have < HEAD_SIZE)
		return HEAD_SIZE;
	return HEAD_SIZE + c->request.head.path_len + c->request.head.data_len;
}

static void receive(struct control_connection *c)
{
	long n = os_receive(c->fd, (char *)&c->request + c->have, wanted(c) - c->have);

	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n <= 0) {
		hang_up(c);
		return;
	}
	c->active = os_clock_ms();
	c->have += (uint32_t)n;
	if (c->have < HEAD_SIZE)
		return;
	if (!is_request(&c->request.head))
		refuse(c, EPROTO);
	else if (c->request.head.data_len > USLUB_CONTROL_MAX_DATA)
		refuse(c, E2BIG);
	else if (c->have == wanted(c))
		serve(c);
}

/* A free place, or that of the connection that has been silent longest; NULL: all have just spoken. */
static struct control_connection *find_place(struct control_server *server, uint64_t now)
{
	struct control_connection *oldest = NULL;

	for (uint32_t i = 0; i < MAX_CONNECTIONS; i++) {
		struct control_connection *c = &server->connections[i];

		if (c->fd < 0)
			return c;
		if (now - c->active > SILENT_MS && (!oldest || c->active < oldest->active))
			oldest = c;
	}
	return oldest;
}

static void accept_one(struct control_server *server, struct control_connection *place)
{
	int fd = os_accept(server->listener);

	/* Where descriptors are few, who asks goes first. */
	if (fd == -EMFILE && server->events >= 0) {
		os_close(server->events);
		server->events = -1;
		fd = os_accept(server->listener);
	}
	server->pausing = fd < 0 && fd != -EAGAIN && fd != -EINTR && fd != -ECONNABORTED;
	if (fd < 0)
		return;
	if (place->fd >= 0)
		hang_up(place);
	place->fd = fd;
	place->active = os_clock_ms();
	place->have = place->sent = place->to_send = 0;
	place->hang_up = false;
	place->request.head.tag = 0;
	if (!os_peer_may(fd))
		refuse(place, EACCES);
}

/* Returns how long to wait: until a place may be free, or something may have stalled, or as long as was asked. */
static int32_t fill_polls(struct control_server *server, struct os_poll *polls, int32_t ms)
{
	bool full = !find_place(server, os_clock_ms()), any = false;

	for (uint32_t i = 0; i < MAX_CONNECTIONS; i++) {
		struct control_connection *c = &server->connections[i];

		polls[i] = (struct os_poll){c->fd, !is_sending(c), is_sending(c), false};
		any |= c->fd >= 0 && (is_sending(c) || c->have);
	}
	polls[LISTENER] = (struct os_poll){full || server->pausing ? -1 : server->listener, true,
					   false, false};
	polls[EVENTS] = (struct os_poll){server->events, true, false, false};
	if ((full || server->pausing) && (ms < 0 || ms > PAUSE_MS))
		return PAUSE_MS;
	return any && (ms < 0 || ms > (int32_t)STALL_MS) ? (int32_t)STALL_MS : ms;
}

bool control_server_turn(struct control_server *server, int32_t ms)
{
	struct os_poll polls[NR_POLLS];
	struct control_connection *place;
	uint64_t now;
	bool can_wait;

	ms = fill_polls(server, polls, ms);
	server->pausing = false;
	can_wait = os_poll(polls, NR_POLLS, ms);
	server->is_told = polls[EVENTS].ready;
	now = os_clock_ms();
	for (uint32_t i = 0; i < MAX_CONNECTIONS; i++) {
		struct control_connection *c = &server->connections[i];

		if (is_stalled(c, now))
			hang_up(c);
		else if (c->fd >= 0 && polls[i].ready)
			(is_sending(c) ? send_answer : receive)(c);
	}
	place = polls[LISTENER].ready ? find_place(server, os_clock_ms()) : NULL;
	if (place)
		accept_one(server, place);
	return can_wait;
}
