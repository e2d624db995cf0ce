/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QEMU plugin for bench/profile: how many instructions of each translated block the guest
 * executes between two calls of one kernel function. One emulation thread only, as in counted
 * runs. The interface of QEMU's plugins, version 1, is declared here as far as it is used, for
 * Debian does not package the header.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

struct qemu_plugin_tb;
struct qemu_info_t;

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
	void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
	void (*cb)(unsigned int vcpu, void *data), enum qemu_plugin_cb_flags flags, void *data);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb,
	enum qemu_plugin_op op, void *counter, uint64_t imm);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc, char **argv);

/* One for each translation, never freed: translated code refers to it. */
struct block {
	struct block *next;
	uint64_t vaddr;
	uint64_t instructions;
};

static struct block *blocks;
static uint64_t trigger;
static char *output;
static bool started;

static void write_counts(void)
{
	FILE *file = fopen(output, "w");
	const struct block *block;

	if (!file) {
		perror(output);
		return;
	}
	for (block = blocks; block; block = block->next)
		if (block->instructions)
			fprintf(file, "%" PRIx64 " %" PRIu64 "\n", block->vaddr,
				block->instructions);
	fclose(file);
}

/* The first call begins the count, the second ends it. */
static void triggered(unsigned int vcpu, void *data)
{
	struct block *block;

	(void)vcpu;
	(void)data;
	if (started) {
		write_counts();
		return;
	}
	for (block = blocks; block; block = block->next)
		block->instructions = 0;
	started = true;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	struct block *block = calloc(1, sizeof(*block));

	(void)id;
	if (!block)
		abort();
	block->vaddr = qemu_plugin_tb_vaddr(tb);
	block->next = blocks;
	blocks = block;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64,
						 &block->instructions, qemu_plugin_tb_n_insns(tb));
	if (block->vaddr == trigger)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, triggered, QEMU_PLUGIN_CB_NO_REGS, NULL);
}

/* Arguments: trigger=ADDRESS and output=FILE. */
int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc, char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "trigger=", 8))
			trigger = strtoull(argv[i] + 8, NULL, 16);
		else if (!strncmp(argv[i], "output=", 7))
			output = strdup(argv[i] + 7);
	}
	if (!trigger || !output)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
