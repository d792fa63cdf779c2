/* SPDX-License-Identifier: GPL-2.0-only */
/* What browsers show, in the command: the page of `modbpf verify --html`, the drawing of `modbpf run --flame`. */
	.section .rodata
	.globl explorer_page, explorer_page_end, flame_page, flame_page_end
explorer_page:
	.incbin "loader/cli/explorer.html"
explorer_page_end:
flame_page:
	.incbin "loader/cli/flame.svg"
flame_page_end:
	.section .note.GNU-stack, "", @progbits
