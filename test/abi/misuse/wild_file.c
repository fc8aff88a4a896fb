/* An address in a mapping of a file, behind the file's end: mapped, but a read of it fails. */
#include <fcntl.h>
#include <sys/mman.h>

#include "misuse.h"

int main(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	size_t size = (size_t)lseek(fd, 0, SEEK_END);
	size_t whole = (size + 65535) / 65536 * 65536 + 65536;
	char *p = mmap(NULL, whole, PROT_READ, MAP_PRIVATE, fd, 0);

	if (emulated())
		skip("an emulator looks at its guest's memory by itself, and dies of this page");
	CHECK(fd >= 0 && p != MAP_FAILED);
	free(mistake(p + whole - 32768));
	return survived();
}
