// SPDX-License-Identifier: GPL-2.0-only
// For 24-iters.sh: tasks, their open files and mappings, elements of a map, and all maps, programs and links, as text.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct seq_file {
	unsigned long count;
};
struct task_struct {
	int pid, tgid;
	char comm[16];
};
struct file {
	void *f_op;
};
struct vm_area_struct {
	unsigned long vm_start, vm_end;
};
struct bpf_map {
	__u32 id, key_size, max_entries;
	char name[16];
	void *btf;
};
struct bpf_prog_aux {
	__u32 id;
	char name[16];
};
struct bpf_prog {
	enum bpf_attach_type expected_attach_type;
	struct bpf_prog_aux *aux;
};
struct bpf_link {
	__u32 id;
	struct bpf_prog *prog;
};
struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id, seq_num;
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};
struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};
struct bpf_iter__task_vma {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct vm_area_struct *vma;
};
struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key, *value;
};
struct bpf_iter__bpf_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
};
struct bpf_iter__bpf_prog {
	struct bpf_iter_meta *meta;
	struct bpf_prog *prog;
};
struct bpf_iter__bpf_link {
	struct bpf_iter_meta *meta;
	struct bpf_link *link;
};
struct kernfs_node {
	__u64 id;
};
struct cgroup_subsys_state {
	int id;
};
struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	struct kernfs_node *kn;
};
struct bpf_iter__cgroup {
	struct bpf_iter_meta *meta;
	struct cgroup *cgroup;
};
struct kallsym_iter {
	unsigned long value;
	char type, name[512];
};
struct bpf_iter__ksym {
	struct bpf_iter_meta *meta;
	struct kallsym_iter *ksym;
};
#pragma clang attribute pop

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 5000);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

struct {
	int ends, sleepers; /* how often the end was told; programs that slept */
	__u64 address;      /* of a word of the reader's */
	int copied;
	int last_level; /* of control groups: the walk ends at one of this level, if it is above 0 */
} shared;

SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (!task) {
		shared.ends++;
		return 0;
	}
	BPF_SEQ_PRINTF(ctx->meta->seq, "%llu %d %d %s\n", ctx->meta->seq_num, task->tgid, task->pid, task->comm);
	return 0;
}

SEC("iter.s/task")
int sleeping(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	__u64 word = 0;

	if (!task)
		return 0;
	shared.sleepers++;
	if (!bpf_copy_from_user_task(&word, sizeof(word), (void *)shared.address, task, 0) && word == 0x1234567812345678)
		shared.copied++;
	BPF_SEQ_PRINTF(ctx->meta->seq, "%d\n", task->pid);
	return 0;
}

SEC("iter/task_file")
int files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;

	if (!task || !file)
		return 0;
	BPF_SEQ_PRINTF(ctx->meta->seq, "%d %d %d\n", task->tgid, ctx->fd, file->f_op != 0);
	return 0;
}

SEC("iter/task_vma")
int mappings(struct bpf_iter__task_vma *ctx)
{
	struct task_struct *task = ctx->task;
	struct vm_area_struct *vma = ctx->vma;

	if (!task || !vma)
		return 0;
	BPF_SEQ_PRINTF(ctx->meta->seq, "%d %08llx-%08llx\n", task->tgid, vma->vm_start, vma->vm_end);
	return 0;
}

SEC("iter/bpf_map_elem")
int elements(struct bpf_iter__bpf_map_elem *ctx)
{
	__u32 *key = ctx->key;
	__u64 *value = ctx->value;
	struct bpf_map *map = ctx->map;

	if (!key || !value || !map)
		return 0;
	BPF_SEQ_PRINTF(ctx->meta->seq, "%u %llu %u %u %s %d\n", *key, *value, map->max_entries, map->key_size, map->name, map->btf != 0);
	*value += 1;
	return 0;
}

SEC("iter/bpf_map")
int maps(struct bpf_iter__bpf_map *ctx)
{
	struct bpf_map *map = ctx->map;

	if (map)
		BPF_SEQ_PRINTF(ctx->meta->seq, "%u %u %u %s\n", map->id, map->key_size, map->max_entries, map->name);
	return 0;
}

SEC("iter/bpf_prog")
int progs(struct bpf_iter__bpf_prog *ctx)
{
	struct bpf_prog *prog = ctx->prog;

	if (prog)
		BPF_SEQ_PRINTF(ctx->meta->seq, "%u %u %s\n", prog->aux->id, prog->expected_attach_type, prog->aux->name);
	return 0;
}

SEC("iter/bpf_link")
int links(struct bpf_iter__bpf_link *ctx)
{
	struct bpf_link *link = ctx->link;

	if (link)
		BPF_SEQ_PRINTF(ctx->meta->seq, "%u %s\n", link->id, link->prog->aux->name);
	return 0;
}

SEC("iter/cgroup")
int groups(struct bpf_iter__cgroup *ctx)
{
	struct cgroup *group = ctx->cgroup;

	if (!group) {
		BPF_SEQ_PRINTF(ctx->meta->seq, "end\n");
		return 0;
	}
	BPF_SEQ_PRINTF(ctx->meta->seq, "%llu %d %llu\n", ctx->meta->seq_num, group->level, group->kn->id);
	return shared.last_level && group->level == shared.last_level;
}

SEC("iter/ksym")
int symbols(struct bpf_iter__ksym *ctx)
{
	struct kallsym_iter *symbol = ctx->ksym;

	if (symbol)
		BPF_SEQ_PRINTF(ctx->meta->seq, "%016lx %c %s\n", symbol->value, symbol->type, symbol->name);
	return 0;
}

struct bpf_iter_css_task {
	__u64 opaque[1];
} __attribute__((aligned(8)));
extern int bpf_iter_css_task_new(struct bpf_iter_css_task *it, struct cgroup_subsys_state *css, unsigned int flags) __weak __ksym;
extern struct task_struct *bpf_iter_css_task_next(struct bpf_iter_css_task *it) __weak __ksym;
extern void bpf_iter_css_task_destroy(struct bpf_iter_css_task *it) __weak __ksym;
struct bpf_iter_task_vma {
	__u64 opaque[1];
} __attribute__((aligned(8)));
extern int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task, __u64 addr) __weak __ksym;
extern struct vm_area_struct *bpf_iter_task_vma_next(struct bpf_iter_task_vma *it) __weak __ksym;
extern void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it) __weak __ksym;

SEC("?iter/cgroup")
int members(struct bpf_iter__cgroup *ctx)
{
	struct cgroup *group = ctx->cgroup;
	struct bpf_iter_css_task it;
	struct task_struct *task;
	int wrong, drained;

	if (!group)
		return 0;
	bpf_iter_css_task_new(&it, &group->self, 0);
	while ((task = bpf_iter_css_task_next(&it)))
		BPF_SEQ_PRINTF(ctx->meta->seq, "%d\n", task->pid);
	bpf_iter_css_task_destroy(&it);
	wrong = bpf_iter_css_task_new(&it, &group->self, 2); /* threaded groups alone */
	drained = bpf_iter_css_task_next(&it) != 0;
	bpf_iter_css_task_destroy(&it);
	BPF_SEQ_PRINTF(ctx->meta->seq, "%d %d\n", wrong, drained);
	return 0;
}

SEC("?iter/task")
int open_mappings(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct bpf_iter_task_vma it;
	struct vm_area_struct *vma;
	int left = 8;

	if (!task)
		return 0;
	bpf_iter_task_vma_new(&it, task, 0);
	while ((vma = bpf_iter_task_vma_next(&it)) && left-- > 0)
		BPF_SEQ_PRINTF(ctx->meta->seq, "%08llx-%08llx\n", vma->vm_start, vma->vm_end);
	bpf_iter_task_vma_destroy(&it);
	return 0;
}
