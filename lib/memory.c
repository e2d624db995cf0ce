/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front-end's memory.
 *
 * Regions change only while no queue runs, so that lookups need no lock and nothing is unmapped
 * under a request (control.c pauses the queues for it).
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

static bool overlaps(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a - b < b_size || b - a < a_size;
}

static int check_region(const struct mem *mem, const struct vhost_user_region *region)
{
	uint64_t size = region->size;

	if (size == 0 || size > SIZE_MAX / 2 || region->guest_addr > UINT64_MAX - size ||
	    region->user_addr > UINT64_MAX - size || region->mmap_offset > (uint64_t)INT64_MAX - size)
		return -EPROTO;
	for (unsigned int i = 0; i < mem->num; i++) {
		const struct mem_region *other = &mem->regions[i];

		if (overlaps(region->guest_addr, size, other->guest_addr, other->size))
			return -EPROTO;
	}
	return 0;
}

/*
 * mmap(2) of huge pages wants offset and length in whole huge pages, and st_blksize is their
 * size there. A file that is too small now would be SIGBUS later.
 */
static int map_region(struct mem_region *slot, const struct vhost_user_region *region, int fd)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), offset, skip, len;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode)) {
		if ((uint64_t)st.st_size < region->mmap_offset + region->size)
			return -EPROTO;
		if ((uint64_t)st.st_blksize > page && !(st.st_blksize & (st.st_blksize - 1)))
			page = (uint64_t)st.st_blksize;
	}
	offset = region->mmap_offset & ~(page - 1);
	skip = region->mmap_offset - offset;
	len = (skip + region->size + page - 1) & ~(page - 1);
	slot->map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
			 (off_t)offset);
	if (slot->map == MAP_FAILED)
		return -errno;
	slot->map_len = len;
	slot->host = (uint8_t *)slot->map + skip;
	/* A core of a device process does not need the memory of its driver; failing is harmless. */
	madvise(slot->map, len, MADV_DONTDUMP);
	return 0;
}

int mem_add(struct mem *mem, const struct vhost_user_region *region, int fd)
{
	struct mem_region *slot;
	int r;

	if (mem->num == MEM_SLOTS_MAX)
		return -ENOSPC;
	r = check_region(mem, region);
	if (r < 0)
		return r;
	slot = &mem->regions[mem->num];
	r = map_region(slot, region, fd);
	if (r < 0)
		return r;
	slot->guest_addr = region->guest_addr;
	slot->user_addr = region->user_addr;
	slot->size = region->size;
	mem->num++;
	return 0;
}

int mem_remove(struct mem *mem, const struct vhost_user_region *region)
{
	for (unsigned int i = 0; i < mem->num; i++) {
		struct mem_region *slot = &mem->regions[i];

		if (slot->guest_addr != region->guest_addr || slot->size != region->size ||
		    slot->user_addr != region->user_addr)
			continue;
		munmap(slot->map, slot->map_len);
		*slot = mem->regions[--mem->num];
		memset(&mem->regions[mem->num], 0, sizeof(*slot));
		return 0;
	}
	return -EPROTO;
}

void mem_clear(struct mem *mem)
{
	for (unsigned int i = 0; i < mem->num; i++)
		munmap(mem->regions[i].map, mem->regions[i].map_len);
	memset(mem, 0, sizeof(*mem));
}

const struct mem_region *mem_find(const struct mem *mem, uint64_t addr, unsigned int *hint)
{
	for (unsigned int i = 0; i < mem->num; i++) {
		if (addr - mem->regions[i].guest_addr < mem->regions[i].size) {
			*hint = i;
			return &mem->regions[i];
		}
	}
	return NULL;
}

/* A part of a ring: addressed by the front-end's own address, in one region, aligned. */
void *mem_user(const struct mem *mem, uint64_t addr, uint64_t len, uint64_t align)
{
	for (unsigned int i = 0; i < mem->num; i++) {
		const struct mem_region *region = &mem->regions[i];
		uint64_t offset = addr - region->user_addr;
		uint8_t *host;

		if (offset >= region->size || len > region->size - offset)
			continue;
		host = region->host + offset;
		return (uintptr_t)host % align ? NULL : host;
	}
	return NULL;
}
