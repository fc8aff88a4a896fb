/*
 * The control files' service: one thread that answers at a Unix socket. Layer: control, the top of the core; see
 * docs/control.md. Called by preload/init.c.
 */
#ifndef USLUB_CORE_CONTROL_H
#define USLUB_CORE_CONTROL_H

/*
 * Before main: begins to serve under DIR/PID, and returns when the socket is there. NULL: done; else why not. From
 * then on children of forks serve as well.
 */
const char *control_start(const char *path);
/* In the child of a fork that atfork handlers know of: sooner than its first slow path of allocation. */
void control_after_fork(void);
/* The process exits: removes its socket. */
void control_stop(void);

#endif
