/*
 * `uslub mount`: becomes uslub-mount, the one program that needs libfuse3. Layer: tools. Called by uslub.c.
 */
#include "control.h"
#include "client.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
	"Usage: uslub mount [OPTION]... MOUNTPOINT\n"
	"Mounts the control files of all processes that have some: MOUNTPOINT/PID/... To unmount:\n"
	"fusermount3 -u MOUNTPOINT, or umount.\n"
	"  --dir DIR      where the processes have their sockets, if not where `uslub run` puts them\n"
	"  -f             stays in the foreground\n";

int mount_main(int argc, char **argv)
{
	struct control_peer peer;
	bool foreground = false;
	char path[PATH_MAX];

	control_options(argc, argv, usage, 'f', &foreground, &peer);
	if (argc - optind != 1) {
		fputs(usage, stderr);
		return 2;
	}
	if (!peer.dir)
		peer.dir = client_default_dir();
	if (!find_companion("uslub-mount", "../libexec/uslub/uslub-mount", path)) {
		fputs("uslub mount: there is no uslub-mount beside uslub: it is built where "
		      "libfuse3-dev is\n",
		      stderr);
		return 1;
	}
	execl(path, path, peer.dir, argv[optind], foreground ? "-f" : (char *)NULL, (char *)NULL);
	return control_failed("mount", path, errno);
}
