/*
 * Connections to the control socket. Layer: control. Called by the service thread alone.
 */
#ifndef USLUB_CONTROL_SERVER_H
#define USLUB_CONTROL_SERVER_H

#include "control_tree.h"
#include "include/uslub/control.h"

#define MAX_CONNECTIONS 16U

struct control_connection {
	int fd;			/* below 0: free */
	uint64_t active;	/* when it last got on, in ms */
	uint32_t have;		/* bytes of the request */
	uint32_t sent, to_send; /* of the answer */
	bool hang_up;		/* once the answer is sent */
	struct {
		struct uslub_control_request head;
		char text[USLUB_CONTROL_MAX_PATH + USLUB_CONTROL_MAX_DATA];
	} request;
	struct {
		struct uslub_control_answer head;
		char text[USLUB_CONTROL_MAX_ANSWER];
	} answer;
};

/* Memory is touched as it is needed. */
struct control_server {
	int listener;
	int events;   /* see os_uevent.h; below 0: none */
	bool pausing; /* no descriptor could be had for a connection */
	bool is_told; /* there may be something to read from `events` */
	struct control_connection connections[MAX_CONNECTIONS];
};

/* `events` is closed where its number is needed for a connection. */
void control_server_init(struct control_server *server, int listener, int events);
/* Serves what there is within so many ms; below 0: waits for ever. False: nothing can be waited for any more. */
bool control_server_turn(struct control_server *server, int32_t ms);

#endif
