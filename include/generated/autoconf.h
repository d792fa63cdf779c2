/*
 * Automatically generated file; DO NOT EDIT.
 * modbpf
 */
#define CONFIG_MODBPF 1
#define CONFIG_MODBPF_WERROR 1
