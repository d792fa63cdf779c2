// SPDX-License-Identifier: GPL-2.0-only
/* Keys of the kernel's keyrings, and signatures by them. */
#include "port/kernel/internal.h"

#include <linux/bpf.h>
#include <linux/err.h>
#include <linux/key.h>
#include <linux/slab.h>
#include <linux/verification.h>

#ifdef CONFIG_KEYS

/* Stands for each keyring of the system's, whose number is in the place of an address: never freed, and the same for all. */
static const struct bpf_key system_keys[] = {
	{ .key = NULL }, /* of the kernel's own keys */
	{ .key = VERIFY_USE_SECONDARY_KEYRING },
	{ .key = VERIFY_USE_PLATFORM_KEYRING },
};

u64 port_key_system(u64 id)
{
	return id < ARRAY_SIZE(system_keys) ? (u64)&system_keys[id] : 0;
}

/* Whether the caller may use it is asked when it is used. */
u64 port_key_user(u32 serial, u64 flags)
{
	struct bpf_key *held;
	key_ref_t ref;

	if (flags & ~(u64)KEY_LOOKUP_ALL)
		return 0;
	ref = lookup_user_key(serial, flags, KEY_DEFER_PERM_CHECK);
	if (IS_ERR(ref))
		return 0;
	held = modbpf_fail_nth() ? NULL : kmalloc(sizeof(*held), GFP_KERNEL);
	if (!held) {
		key_put(key_ref_to_ptr(ref));
		return 0;
	}
	held->key = key_ref_to_ptr(ref);
	held->has_ref = true;
	return (u64)held;
}

void port_key_put(u64 key)
{
	struct bpf_key *held = (struct bpf_key *)key;

	if (!held->has_ref)
		return;
	key_put(held->key);
	kfree(held);
}

int port_key_verify(u64 key, const void *data, size_t size, const void *signature, size_t signature_size)
{
#ifdef CONFIG_SYSTEM_DATA_VERIFICATION
	struct bpf_key *held = (struct bpf_key *)key;
	int ret = held->has_ref ? key_validate(held->key) : 0;

	return ret < 0 ? ret : verify_pkcs7_signature(data, size, signature, signature_size, held->key, VERIFYING_UNSPECIFIED_SIGNATURE, NULL, NULL);
#else
	return -EOPNOTSUPP;
#endif
}

#else /* its types name no such functions either */

u64 port_key_system(u64 id)
{
	return 0;
}

u64 port_key_user(u32 serial, u64 flags)
{
	return 0;
}

void port_key_put(u64 key)
{
}

int port_key_verify(u64 key, const void *data, size_t size, const void *signature, size_t signature_size)
{
	return -EOPNOTSUPP;
}

#endif
