/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_STREAMS_H
#define COMMON_STREAMS_H

/*
 * Open those of the descriptors 0 to 2 that are closed (as by "2>&-" in a shell), so that no file
 * that is opened later becomes one of them: messages would go into it, be it a disk image or a
 * connection. Reading and writing still fail. To be called before anything else is opened.
 *
 * Return: 0; errors of open(2).
 */
int vl_open_streams(void);

#endif
