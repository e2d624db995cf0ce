/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Waiting for a file to appear, without polling: its directory is watched, or as much of the way
 * to it as there is (udev makes and removes /dev/input/by-id); and the same for each symbolic link
 * on the way.
 */
#ifndef VLOOP_INPUT_PLACE_H
#define VLOOP_INPUT_PLACE_H

/*
 * place_watch() - a descriptor that is readable when it is worth looking at @path again; it says so
 * once, then it has to be closed. Look once more after this call: what happened before is not told.
 *
 * Return: the descriptor or a negative errno.
 */
int place_watch(const char *path);

#endif
