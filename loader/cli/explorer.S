/* SPDX-License-Identifier: GPL-2.0-only */
/* The page of `modbpf verify --html`, in the command. */
	.section .rodata
	.globl explorer_page, explorer_page_end
explorer_page:
	.incbin "loader/cli/explorer.html"
explorer_page_end:
	.section .note.GNU-stack, "", @progbits
