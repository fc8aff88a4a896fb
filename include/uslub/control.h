/*
 * The protocol of the control socket, DIR/PID: see docs/control.md. Both ends are on one machine, so numbers are
 * in its byte order.
 *
 * A request is the header, then `path_len` bytes of path, then `data_len` bytes of data. Its answer is the
 * header, then `data_len` bytes. Requests may be sent ahead; answers come in their order. What is not a request
 * ends the connection.
 */
#ifndef USLUB_CONTROL_H
#define USLUB_CONTROL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define USLUB_CONTROL_MAGIC 0x31736c75U
/* Of a path, and of what one write brings. */
#define USLUB_CONTROL_MAX_PATH 255U
#define USLUB_CONTROL_MAX_DATA 4096U
/* Of an answer. */
#define USLUB_CONTROL_MAX_ANSWER (1U << 18)

enum uslub_control_op {
	/* One line for each entry of a directory: its type (d, l or -), its mode in octal, its name. */
	USLUB_CONTROL_LIST = 1,
	/* One line: type and mode; of a symbolic link its target as well. */
	USLUB_CONTROL_STAT,
	/* What the file shows. */
	USLUB_CONTROL_READ,
	/* Stores the data in the file; the answer is empty. */
	USLUB_CONTROL_WRITE,
};

struct uslub_control_request {
	uint32_t magic;
	uint16_t op;
	uint16_t path_len;
	uint32_t data_len;
	uint32_t tag; /* comes back in the answer */
};

struct uslub_control_answer {
	uint32_t magic;
	uint32_t error; /* an errno; 0: none */
	uint32_t data_len;
	uint32_t tag;
};

#ifdef __cplusplus
}
#endif

#endif
