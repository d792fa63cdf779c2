/* SPDX-License-Identifier: GPL-2.0-only */
/* The return thunk of a kernel that is safe from speculative return stack overflow, for a process: code that is measured beside a kernel's
 * is built with -mfunction-return=thunk-extern and returns through it. The call and the return that discards it leave the return
 * predictor in a known state; that is what a return in such a kernel costs. */
	.text
	.globl	__x86_return_thunk
	.hidden	__x86_return_thunk
	.type	__x86_return_thunk, @function
	.balign	64
__x86_return_thunk:
	call	1f
	ud2
	.skip	10, 0xcc
1:	lea	8(%rsp), %rsp
	ret
	int3
	.size	__x86_return_thunk, . - __x86_return_thunk
	.section .note.GNU-stack, "", @progbits
