/*
 * What the loader will make of a program: can a library be preloaded into it? Layer: tools. Called by run.c.
 */
#include "control.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Scripts whose interpreters are scripts: the kernel follows so many. */
#define MAX_INTERPRETERS 5

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#endif

static bool is_program(const char *path)
{
	struct stat is;

	return stat(path, &is) == 0 && S_ISREG(is.st_mode) && access(path, X_OK) == 0;
}

bool program_find(const char *name, char *path)
{
	const char *from = getenv("PATH");

	if (strchr(name, '/')) {
		snprintf(path, PATH_MAX, "%s", name);
		return is_program(path);
	}
	for (from = from ? from : "/usr/bin:/bin"; from; from = *from ? from + 1 : NULL) {
		size_t n = strcspn(from, ":");

		snprintf(path, PATH_MAX, "%.*s/%s", n ? (int)n : 1, n ? from : ".", name);
		if (is_program(path))
			return true;
		from += n;
	}
	return false;
}

/* The loader takes no orders in a program that has more rights than who starts it. */
static const char *changes_rights(const char *path)
{
	struct stat is;

	if (stat(path, &is) != 0)
		return NULL;
	if (is.st_mode & S_ISUID && is.st_uid != getuid())
		return "it is setuid";
	if (is.st_mode & S_ISGID && is.st_mode & S_IXGRP && is.st_gid != getgid())
		return "it is setgid";
	if (getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0)
		return "it has file capabilities";
	return NULL;
}

static bool has_interpreter(int fd, const Elf64_Ehdr *head)
{
	Elf64_Phdr segment;

	for (unsigned int i = 0; i < head->e_phnum; i++) {
		off_t at = (off_t)(head->e_phoff + (Elf64_Off)i * head->e_phentsize);

		if (pread(fd, &segment, sizeof(segment), at) != (ssize_t)sizeof(segment))
			return false;
		if (segment.p_type == PT_INTERP)
			return true;
	}
	return false;
}

static const char *elf_refuses(int fd, const Elf64_Ehdr *head, size_t len)
{
	if (head->e_ident[EI_CLASS] != ELFCLASS64 || len < sizeof(*head) ||
	    head->e_machine != MACHINE)
		return "it is for another machine than libuslub.so is";
	return has_interpreter(fd, head) ? NULL : "it is static: there is no loader in it";
}

/* `#! INTERPRETER [ARGUMENT]`, as the kernel reads it. */
static bool read_interpreter(const char *head, char *path)
{
	size_t n;

	head += 2;
	head += strspn(head, " \t");
	n = strcspn(head, " \t\n");
	if (n == 0 || n >= PATH_MAX)
		return false;
	memcpy(path, head, n);
	path[n] = '\0';
	return true;
}

static const char *script_refuses(const char *head, int depth);

static const char *file_refuses(const char *path, int depth)
{
	union {
		Elf64_Ehdr elf;
		char text[257];
	} head = {.text = ""};
	const char *why = changes_rights(path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	/* What can't be read can still be run, and then the loader decides. */
	if (why || fd < 0)
		return why;
	n = read(fd, head.text, sizeof(head.text) - 1);
	if (n >= EI_NIDENT && memcmp(head.elf.e_ident, ELFMAG, SELFMAG) == 0)
		why = elf_refuses(fd, &head.elf, (size_t)n);
	else if (n > 2 && memcmp(head.text, "#!", 2) == 0)
		why = script_refuses(head.text, depth);
	close(fd);
	return why;
}

static const char *script_refuses(const char *head, int depth)
{
	static char text[PATH_MAX + 256];
	char path[PATH_MAX];
	const char *why;

	if (depth == MAX_INTERPRETERS || !read_interpreter(head, path))
		return NULL;
	why = file_refuses(path, depth + 1);
	if (!why || why == text)
		return why;
	snprintf(text, sizeof(text), "its interpreter %s can't be: %s", path, why);
	return text;
}

const char *program_refuses_preload(const char *path)
{
	return file_refuses(path, 0);
}
