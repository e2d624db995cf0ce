/* SPDX-License-Identifier: BSD-3-Clause */
/* vloop stats: the counters of each queue, once or as differences over an interval. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "output.h"
#include "parse.h"
#include "sysfs.h"
#include "vloop.h"

#define CLASS "/sys/class/virtio-loopback"

static const struct counter {
	const char *name;
	bool gauge; /* a level, not a sum: shown as it is also with --interval */
} counters[] = {
	{"requests", false},  {"completed", false}, {"bytes_out", false}, {"bytes_in", false},
	{"kicks", false},     {"calls", false},	    {"stalls", false},	  {"failed", false},
	{"reoffered", false}, {"clamped", false},   {"dropped", false},	  {"dropped_bytes", false},
	{"in_flight", true},
};

#define NCOUNTERS (sizeof(counters) / sizeof(counters[0]))

struct sample {
	char device[SYSFS_TEXT];
	uint64_t queue;
	uint64_t value[NCOUNTERS];
};

struct samples {
	struct sample *at;
	size_t n;
};

static int take_queue(struct samples *samples, const char *name, uint64_t queue)
{
	struct sample *grown, *sample;

	if (sysfs_number(UINT64_MAX, CLASS "/%s/queues/%" PRIu64 "/requests", name, queue) ==
	    UINT64_MAX)
		return -ENOENT;
	grown = reallocarray(samples->at, samples->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	samples->at = grown;
	sample = &samples->at[samples->n++];
	snprintf(sample->device, sizeof(sample->device), "%s", name);
	sample->queue = queue;
	for (size_t i = 0; i < NCOUNTERS; i++)
		sample->value[i] = sysfs_number(0, CLASS "/%s/queues/%" PRIu64 "/%s", name, queue,
						counters[i].name);
	return 0;
}

static int take(const char *only, struct samples *ret_samples)
{
	char **names;
	size_t n;
	int ret;

	*ret_samples = (struct samples){0};
	if (sysfs_names(&names, &n))
		return -ENXIO;
	ret = only ? -ENOENT : 0;
	for (size_t i = 0; i < n; i++) {
		if (only && strcmp(only, names[i]))
			continue;
		ret = 0;
		for (uint64_t queue = 0; !take_queue(ret_samples, names[i], queue);)
			queue++;
	}
	sysfs_names_free(names, n);
	return ret;
}

/* A device that is new, or was attached again under its name, starts from zero. */
static void subtract(struct samples *now, const struct samples *before)
{
	for (size_t i = 0; i < now->n; i++) {
		struct sample *sample = &now->at[i];

		for (size_t k = 0; k < before->n; k++) {
			const struct sample *old = &before->at[k];

			if (strcmp(old->device, sample->device) || old->queue != sample->queue)
				continue;
			for (size_t c = 0; c < NCOUNTERS; c++)
				if (!counters[c].gauge && sample->value[c] >= old->value[c])
					sample->value[c] -= old->value[c];
		}
	}
}

static void print_table(const struct samples *samples)
{
	printf("%-16s %5s", "NAME", "QUEUE");
	for (size_t c = 0; c < NCOUNTERS; c++)
		printf(" %12s", counters[c].name);
	putchar('\n');
	for (size_t i = 0; i < samples->n; i++) {
		printf("%-16s %5" PRIu64, samples->at[i].device, samples->at[i].queue);
		for (size_t c = 0; c < NCOUNTERS; c++)
			printf(" %12" PRIu64, samples->at[i].value[c]);
		putchar('\n');
	}
}

static void print_json(const struct samples *samples)
{
	struct json_object *all = json_object_new_array();

	for (size_t i = 0; i < samples->n; i++) {
		struct json_object *one = json_object_new_object();

		out_text(one, "name", samples->at[i].device);
		out_number(one, "queue", samples->at[i].queue);
		for (size_t c = 0; c < NCOUNTERS; c++)
			out_number(one, counters[c].name, samples->at[i].value[c]);
		json_object_array_add(all, one);
	}
	out_print(all, true);
}

static int show_stats(const char *only, bool json, uint64_t interval)
{
	struct samples before = {0};
	int ret;

	do {
		struct samples now, keep;

		ret = take(only, &now);
		if (ret) {
			ret = (int)sysfs_find_error(only, ret);
			break;
		}
		keep = (struct samples){.at = calloc(now.n + 1, sizeof(*now.at)), .n = now.n};
		if (!keep.at) {
			msg_error("no memory for the counters of %zu queues", now.n);
			free(now.at);
			ret = EXIT_FAIL;
			break;
		}
		if (now.n)
			memcpy(keep.at, now.at, now.n * sizeof(*now.at));
		subtract(&now, &before);
		if (json)
			print_json(&now);
		else
			print_table(&now);
		free(now.at);
		free(before.at);
		before = keep;
		ret = out_finish(EXIT_OK);
		if (interval && !ret)
			nanosleep(&(struct timespec){.tv_sec = (time_t)interval}, NULL);
	} while (interval && !ret);
	free(before.at);
	return ret;
}

static int run_stats(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"interval", required_argument, NULL, 'i'},
		{0},
	};
	char name[SYSFS_TEXT];
	uint64_t interval = 0;
	bool json = false;
	int c, ret;

	optind = 1;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j')
			json = true;
		else if (c != 'i')
			return option_error("stats");
		else if (vl_parse_u64(optarg, 1, 86400, &interval))
			return usage_error("stats",
					   "--interval wants whole seconds, 1 to 86400, not '%s'",
					   optarg);
	}
	if (argc - optind > 1)
		return usage_error("stats", "expected at most one NAME");
	if (optind == argc)
		return show_stats(NULL, json, interval);
	ret = sysfs_find(argv[optind], name, sizeof(name));
	if (ret)
		return (int)sysfs_find_error(argv[optind], ret);
	return show_stats(name, json, interval);
}

const struct subcommand cmd_stats = {
	.name = "stats",
	.run = run_stats,
	.summary = "show the counters of each queue",
	.help = "Usage: vloop stats [--json] [--interval SECONDS] [NAME]\n"
		"\n"
		"Show the counters of each queue of one device, or of all.\n"
		"\n"
		"  --interval SECONDS    again and again, each time what was added since\n"
		"  --json                as a JSON array\n",
};
