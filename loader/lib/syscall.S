/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * long syscall(long number, ...)
 *
 * In assembly, without a frame, so that every number that is not ours behaves as in libc, also those that return twice
 * or return on another stack. bpf, perf_event_open and fsopen go on to modbpf_route with all arguments where they are: a C
 * function with seven integer arguments finds the seventh at 8(%rsp), as syscall() does.
 */
	.text
	.globl	syscall
	.type	syscall, @function
	.p2align 4
syscall:
	.cfi_startproc
	endbr64
	cmpl	$321, %edi		/* __NR_bpf */
	je	modbpf_route
	cmpl	$298, %edi		/* __NR_perf_event_open */
	je	modbpf_route
	cmpl	$430, %edi		/* __NR_fsopen */
	je	modbpf_route
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %r10
	movq	%r9, %r8
	movq	8(%rsp), %r9
	syscall
	cmpq	$-4095, %rax
	jae	1f
	ret
1:	movq	%rax, %rdi
	jmp	modbpf_fail		/* sets errno, returns -1 */
	.cfi_endproc
	.size	syscall, . - syscall
	.hidden	modbpf_route
	.hidden	modbpf_fail
	.section .note.GNU-stack, "", @progbits
