/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The public header compiles alone, in strict C and in C++, and its structures begin with a size.
 */
#include <vloop/vloop.h>

int main(void)
{
	return sizeof(((struct vloop_dev_desc *)0)->size) + sizeof(((struct vloop_dev_ops *)0)->size) +
			       sizeof(((struct vloop_program *)0)->size) +
			       sizeof(((struct vloop_args *)0)->size) ==
		       4 * sizeof(size_t) ?
		       0 :
		       1;
}
