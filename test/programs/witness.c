// SPDX-License-Identifier: MIT
/*
 * Preloaded beside the library under test: each process that starts appends one line to the file
 * that PROGRAMS_WITNESS names:
 *
 *	PID <tab> executable <tab> file that a call of malloc lands in <tab> loaded|absent
 *
 * The last word says whether the file that PROGRAMS_LIB names is mapped at all.  A call is what
 * counts: the address of malloc, as &malloc or dlsym() give it, may be a stub in an executable
 * that is not position independent.  So the answer is read from this object's own jump slot,
 * which the loader fills as it fills those of every other object.  Link with -z now.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#define JUMP_SLOT R_X86_64_JUMP_SLOT
#elif defined(__aarch64__)
#define JUMP_SLOT R_AARCH64_JUMP_SLOT
#else
#error "no jump slot relocation known for this machine"
#endif

/* Lies in this object, so that dladdr1() finds it. */
static const char anchor;

struct dynamic {
	const ElfW(Rela) * slots;
	size_t nr_slots;
	const ElfW(Sym) * symbols;
	const char *names;
};

static const void *dynamic_address(const struct link_map *map, const ElfW(Dyn) * dyn)
{
	ElfW(Addr) address = dyn->d_un.d_ptr;

	if (address < map->l_addr)
		address += map->l_addr;
	return (const void *)address;
}

static struct dynamic read_dynamic(const struct link_map *map)
{
	struct dynamic dynamic = {0};
	const ElfW(Dyn) * dyn;

	for (dyn = map->l_ld; dyn->d_tag != DT_NULL; dyn++) {
		switch (dyn->d_tag) {
		case DT_JMPREL:
			dynamic.slots = dynamic_address(map, dyn);
			break;
		case DT_PLTRELSZ:
			dynamic.nr_slots = dyn->d_un.d_val / sizeof(ElfW(Rela));
			break;
		case DT_SYMTAB:
			dynamic.symbols = dynamic_address(map, dyn);
			break;
		case DT_STRTAB:
			dynamic.names = dynamic_address(map, dyn);
			break;
		default:
			break;
		}
	}
	return dynamic;
}

static const void *called_function(const struct link_map *map, const char *name)
{
	struct dynamic dynamic = read_dynamic(map);
	size_t i;

	for (i = 0; i < dynamic.nr_slots; i++) {
		const ElfW(Rela) *slot = &dynamic.slots[i];
		const ElfW(Sym) *symbol = &dynamic.symbols[ELF64_R_SYM(slot->r_info)];

		if (ELF64_R_TYPE(slot->r_info) == JUMP_SLOT &&
		    strcmp(dynamic.names + symbol->st_name, name) == 0)
			return *(void *const *)(map->l_addr + slot->r_offset);
	}
	return NULL;
}

static int is_library(struct dl_phdr_info *info, size_t size, void *name)
{
	(void)size;
	return strcmp(info->dlpi_name, name) == 0;
}

static const char *library_state(void)
{
	char *library = getenv("PROGRAMS_LIB");

	return library && dl_iterate_phdr(is_library, library) ? "loaded" : "absent";
}

static void append(const char *path, const char *line, size_t length)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, line, length) < 0)
		perror("witness");
	close(fd);
}

__attribute__((constructor)) static void witness(void)
{
	const char *path = getenv("PROGRAMS_WITNESS");
	const void *function = NULL;
	char exe[1024], line[4096];
	struct link_map *map;
	Dl_info info;
	ssize_t length;
	int n;

	if (!path)
		return;
	/* The call makes the jump slot; what it returns does not matter. */
	free(malloc(1));
	length = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[length < 0 ? 0 : length] = '\0';
	if (dladdr1(&anchor, &info, (void **)&map, RTLD_DL_LINKMAP))
		function = called_function(map, "malloc");
	if (!function || !dladdr(function, &info))
		info.dli_fname = "?";
	n = snprintf(line, sizeof(line), "%d\t%s\t%s\t%s\n", (int)getpid(), exe, info.dli_fname,
		     library_state());
	if (n > 0 && (size_t)n < sizeof(line))
		append(path, line, (size_t)n);
}
