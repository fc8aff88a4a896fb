/*
 * What edge_tls.c offers. Layer: tools. Included by it and by edge_module.c, which finds the names with
 * dlsym().
 */
#ifndef USLUB_CONFORM_EDGE_TLS_H
#define USLUB_CONFORM_EDGE_TLS_H

#define EDGE_TLS_FILE "uslub-conform-tls.so"
#define EDGE_TLS_SIZE 5000

char *edge_tls_touch(void);
extern void (*edge_tls_at_end)(void);

#endif
