// SPDX-License-Identifier: GPL-2.0-only
/* The kernel knows the indirect target selection mitigation and its thunks. */
#include <asm/cpufeature.h>
#include <asm/nospec-branch.h>

bool probe(its_thunk_t *thunk);
bool probe(its_thunk_t *thunk)
{
	return cpu_feature_enabled(X86_FEATURE_INDIRECT_THUNK_ITS);
}
