/*
 * The service thread: its making, before main and in children of forks, and its life. Layer: control; see control.h,
 * and docs/control.md for why it is as it is.
 *
 *   the word        who serves
 *   0               nobody: the kernel has wiped the page in the child of a fork, which has no such thread
 *   a process's     that one's thread, or the one that it is making; in the child of a vfork its parent's
 *
 * Whoever changes the word from 0 to its process's number makes the thread, with all signals blocked, so that no handler
 * comes between. Memory, stack and thread-local storage are the same in parent and child: in the child nobody is on them.
 */
#include "control.h"
#include "control_server.h"
#include "counters.h"
#include "fork_watch.h"
#include "os_file.h"
#include "os_thread.h"
#include "os_uevent.h"
#include "os_user.h"
#include "text.h"
#include "thread.h"

#include <errno.h>

#define STACK_SIZE ((size_t)128 << 10)
#define GUARD_SIZE FRAME_SIZE
/* Of thread-local storage on either side of the thread pointer, at least. */
#define TLS_SIZE ((size_t)64 << 10)
#define MAX_DIR 256
#define NAME_SIZE 16
/* A child that execs within that time never gets as far as a socket. */
#define CHILD_DELAY_MS 10
#define START_MS 5000
/* How often a thread that has rights to lose looks whether its process has lost them. */
#define USER_MS 100

enum service_state { STATE_STARTING, STATE_OPENING, STATE_SERVING, STATE_FAILED };

struct service {
	struct os_thread thread;
	char dir[MAX_DIR];
	struct os_file_id dir_id;    /* const */
	struct os_file_id socket_id; /* the thread's, until STATE_SERVING */
	_Atomic uint32_t state;	     /* enum service_state; waited for */
	bool is_child;		     /* const once the thread runs */
	const char *failure;	     /* the thread's, until STATE_FAILED */
	struct os_user user;	     /* the thread's */
	struct control_server server;
	char stack[STACK_SIZE] __attribute__((aligned(64)));
};

/* Made before main, once. */
static struct service *service;

static const char out_of_memory[] = "control: out of memory";
static const char no_thread[] =
	"control: the system gives no thread, or none with descriptors of its own";

static void make_name(char name[NAME_SIZE], int pid)
{
	struct text t = {0};

	text_add_number(&t, (uint64_t)pid);
	__builtin_memcpy(name, t.buf, t.len);
	name[t.len] = '\0';
}

/* The directory takes the numbers of stdin, stdout and stderr, so that no socket can be written to as these. */
static bool enter_directory(struct service *s)
{
	int fd = os_open_own_directory(s->dir);
	struct os_file_id id;

	if (fd != 0 || os_duplicate(fd) != 1 || os_duplicate(fd) != 2)
		return false;
	id = os_file_id(fd, NULL);
	return id.device == s->dir_id.device && id.inode == s->dir_id.inode &&
	       os_change_directory(fd);
}

/* NULL: the socket is there. */
static const char *open_socket(struct service *s)
{
	uint32_t starting = STATE_STARTING;
	char name[NAME_SIZE];
	int fd;

	if (!os_thread_unshare(&s->thread))
		return no_thread;
	if (!enter_directory(s))
		return "control: the directory can't be entered";
	make_name(name, os_getpid());
	if (!os_remove_stale_socket(name))
		return "control: another process, or a file, has the socket's name";
	/* From here on the process's exit waits for the socket, to remove it. */
	if (!atomic_compare_exchange_strong(&s->state, &starting, STATE_OPENING))
		return "control: the process ends";
	fd = os_listen(name, 64);
	if (fd < 0)
		return "control: the socket can't be made";
	s->socket_id = os_file_id(0, name);
	control_server_init(&s->server, fd, os_uevent_open());
	return NULL;
}

/* What a process left behind that was killed, or ended by _exit(). */
static void remove_stale(const char *name)
{
	int64_t pid = 0;

	for (const char *c = name; *c; c++) {
		if (*c < '0' || *c > '9' || pid > INT32_MAX / 10 - 1)
			return;
		pid = pid * 10 + (*c - '0');
	}
	if (pid && !os_process_exists((int)pid))
		os_remove_stale_socket(name);
}

/* False: it can't, and must not go on with rights that the program has given up. */
static bool follow_user(struct service *s)
{
	struct os_user now;

	if (!os_user_is_privileged(&s->user) || !os_user_read(&now) || os_user_is(&now, &s->user))
		return true;
	s->user = now;
	return os_user_become(&now);
}

/* What the kernel tells of the machine's nodes; where it will tell no more, they are looked at now and then. */
static enum node_news take_events(struct control_server *server)
{
	enum os_uevent seen = server->is_told ? os_uevent_take(server->events) : UEVENT_NONE;

	if (seen == UEVENT_LOST) {
		os_close(server->events);
		server->events = -1;
	}
	if (server->events < 0)
		return NODES_UNWATCHED;
	return seen == UEVENT_SEEN ? NODES_CHANGED : NODES_QUIET;
}

static int32_t next_turn(struct service *s)
{
	uint32_t ms = node_control_poll(take_events(&s->server));

	if (os_user_is_privileged(&s->user) && (!ms || ms > USER_MS))
		ms = USER_MS;
	return ms ? (int32_t)ms : -1;
}

static void run(void *arg)
{
	struct service *s = arg;

	os_name_thread("uslub-control");
	if (s->is_child)
		os_sleep_ms(CHILD_DELAY_MS);
	s->failure = open_socket(s);
	if (!s->failure && os_user_read(&s->user) && os_user_is_privileged(&s->user))
		os_user_become(&s->user);
	atomic_store(&s->state, s->failure ? STATE_FAILED : STATE_SERVING);
	os_wake_word(&s->state);
	if (!s->failure && !s->is_child)
		os_each_entry(0, remove_stale);
	if (s->failure)
		return;
	/* What changed before there was a socket for it. */
	node_control_poll(NODES_CHANGED);
	while (control_server_turn(&s->server, next_turn(s)) && follow_user(s))
		;
}

/*
 * In a thread-local storage of its own, all zero, the thread is one that has ended: should it ever allocate or free,
 * it does so without a record. The variable is where it is in every thread.
 */
static void *make_tls(void)
{
	intptr_t offset = (intptr_t)((uintptr_t)&current_thread - os_thread_pointer());
	size_t side = TLS_SIZE + (size_t)(offset < 0 ? -offset : offset);
	char *area;

	side = round_up(side, os_page_size());
	area = os_map(2 * side);
	if (!area)
		return NULL;
	os_thread_pointer_init(area + side);
	*(struct thread **)(area + side + offset) = &thread_gone;
	return area + side;
}

static bool make_service(const char dir[MAX_DIR], struct os_file_id id, bool shares)
{
	char *map = os_reserve(GUARD_SIZE + sizeof(struct service));

	if (!map || !os_commit(map + GUARD_SIZE, sizeof(struct service)))
		return false;
	service = (struct service *)(map + GUARD_SIZE);
	__builtin_memcpy(service->dir, dir, MAX_DIR);
	service->thread = (struct os_thread){
		.fn = run,
		.arg = service,
		.stack = service->stack + STACK_SIZE,
		.tls = make_tls(),
		.shares = shares,
	};
	service->dir_id = id;
	return service->thread.tls != NULL;
}

/* The word is this process's, and all signals are blocked. */
static void start_thread(bool is_child)
{
	atomic_store(&service->state, STATE_STARTING);
	service->is_child = is_child;
	service->socket_id = (struct os_file_id){0, 0};
	service->failure = no_thread;
	if (!os_thread_start(&service->thread))
		atomic_store(&service->state, STATE_FAILED);
}

static void serve_child(void)
{
	_Atomic int *word = atomic_load(&fork_watch_word);
	uint64_t mask = os_block_signals();
	int nobody = 0;

	if (atomic_compare_exchange_strong(word, &nobody, os_getpid()))
		start_thread(true);
	os_restore_signals(mask);
}

void control_after_fork(void)
{
	_Atomic int *word = atomic_load(&fork_watch_word);
	int serving;

	if (!word)
		return;
	/* Where the kernel wipes no pages, what is there is the parent's. */
	serving = atomic_load(word);
	if (serving != os_getpid())
		atomic_compare_exchange_strong(word, &serving, 0);
	serve_child();
}

static bool watch_forks(void)
{
	_Atomic int *word = os_map(os_page_size());

	if (!word)
		return false;
	os_wipe_on_fork(word, os_page_size());
	atomic_store(word, os_getpid());
	fork_watch_seen = serve_child;
	/* Release pairs with the acquire in fork_watch_poll(): publishes fork_watch_seen. */
	atomic_store_explicit(&fork_watch_word, word, memory_order_release);
	return true;
}

/* NULL: it is good, and service->dir_id says which it is. */
static const char *check_directory(const char *dir, struct os_file_id *id)
{
	int fd = os_open_own_directory(dir);

	if (fd == -ENOENT && os_make_directory(dir))
		fd = os_open_own_directory(dir);
	if (fd == -EPERM || fd == -ELOOP || fd == -ENOTDIR)
		return "control: it wants a directory of your own, that no other can write to, no link";
	if (fd < 0)
		return "control: the directory can't be opened";
	*id = os_file_id(fd, NULL);
	os_close(fd);
	return NULL;
}

/* NULL: it serves. */
static const char *start_and_wait(void)
{
	start_thread(false);
	for (uint64_t end = os_clock_ms() + START_MS; os_clock_ms() < end;) {
		uint32_t state = atomic_load(&service->state);

		if (state == STATE_FAILED)
			return service->failure;
		if (state == STATE_SERVING)
			return NULL;
		os_wait_word(&service->state, state, 100);
	}
	return "control: the thread does not come up";
}

const char *control_start(const char *path)
{
	struct os_file_id id = {0, 0};
	size_t n = __builtin_strlen(path);
	char dir[MAX_DIR] = "";
	const char *failure;

	if (path[0] != '/' || n >= MAX_DIR)
		return "control: it wants the full path of a directory, of up to 255 bytes";
	/* With a slash at its end a symbolic link would be followed. */
	while (n > 1 && path[n - 1] == '/')
		n--;
	__builtin_memcpy(dir, path, n);
	failure = check_directory(dir, &id);
	if (failure)
		return failure;
	if (!make_service(dir, id, true) || !counters_start() || !watch_forks())
		return out_of_memory;
	failure = start_and_wait();
	if (failure != no_thread)
		return failure;
	/* On other memory: the first may still be about to end. */
	return make_service(dir, id, false) ? start_and_wait() : out_of_memory;
}

/* No socket comes into being from here on. True: there is one. */
static bool end_start(void)
{
	uint32_t state = STATE_STARTING;

	if (atomic_compare_exchange_strong(&service->state, &state, STATE_FAILED))
		return false;
	if (state == STATE_OPENING)
		os_wait_word(&service->state, STATE_OPENING, START_MS);
	return atomic_load(&service->state) == STATE_SERVING;
}

void control_stop(void)
{
	_Atomic int *word = atomic_load(&fork_watch_word);
	int pid = os_getpid(), dir;
	char name[NAME_SIZE];
	struct os_file_id id, is;

	if (!word || atomic_load(word) != pid || !end_start())
		return;
	dir = os_open_own_directory(service->dir);
	if (dir < 0)
		return;
	make_name(name, pid);
	id = os_file_id(dir, NULL);
	is = os_file_id(dir, name);
	if (id.inode == service->dir_id.inode && id.device == service->dir_id.device &&
	    is.inode == service->socket_id.inode && is.device == service->socket_id.device)
		os_remove_at(dir, name);
	os_close(dir);
}
