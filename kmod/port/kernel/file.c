// SPDX-License-Identifier: GPL-2.0-only
/*
 * File descriptors of the core's objects: anonymous inodes, one file_operations a class.
 *
 * file->private_data is the core's object; the file owns one reference to it and gives it back in release. fops.owner is
 * this module, so an open file, a mapping or a pending close keeps the module in. A file's class is known by its f_op.
 * The table is filled at start-up, before the device exists, and read-only afterwards: it holds function pointers.
 */
#include "port/kernel/internal.h"

#include <linux/anon_inodes.h>
#include <linux/fdtable.h>
#include <linux/cache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/irq_work.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/wait.h>

struct file_class {
	struct file_operations fops;
	const struct port_file_ops *ops;
};

static struct file_class classes[PORT_FILE_CLASSES] __ro_after_init;
static unsigned int class_count __ro_after_init;

struct port_poll {
	struct file *file;
	struct poll_table_struct *table;
};

struct port_waitq {
	wait_queue_head_t head;
	struct irq_work irq;
};

static const struct port_file_ops *ops_of(const struct file *file)
{
	return container_of(file->f_op, struct file_class, fops)->ops;
}

static int file_release(struct inode *inode, struct file *file)
{
	ops_of(file)->release(file->private_data);
	return 0;
}

static __poll_t file_poll(struct file *file, struct poll_table_struct *table)
{
	struct port_poll p = { .file = file, .table = table };

	return (__force __poll_t)ops_of(file)->poll(file->private_data, &p);
}

static void file_show_fdinfo(struct seq_file *m, struct file *file)
{
	ops_of(file)->show_fdinfo(file->private_data, (struct port_seq *)m);
}

static long file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return ops_of(file)->ioctl(file->private_data, cmd, arg);
}

static ssize_t file_read(struct file *file, char __user *to, size_t size, loff_t *pos)
{
	long n = ops_of(file)->read(file->private_data, (u64)(unsigned long)to, size);

	if (n > 0)
		*pos += n;
	return n;
}

/*
 * What counts as a writable mapping must not change during its life: VM_WRITE does (mprotect), VM_MAYWRITE does not.
 * The core forbids later writing to what was mapped read-only, so the two agree when the mapping is made.
 */
static bool counts_as_writable(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_MAYWRITE;
}

static void file_vma_open(struct vm_area_struct *vma)
{
	const struct port_file_ops *ops = ops_of(vma->vm_file);

	if (ops->vma_open)
		ops->vma_open(vma->vm_file->private_data, counts_as_writable(vma));
}

static void file_vma_close(struct vm_area_struct *vma)
{
	const struct port_file_ops *ops = ops_of(vma->vm_file);

	if (ops->vma_close)
		ops->vma_close(vma->vm_file->private_data, counts_as_writable(vma));
}

static const struct vm_operations_struct file_vm_ops = {
	.open = file_vma_open,
	.close = file_vma_close,
};

static int file_mmap(struct file *file, struct vm_area_struct *vma)
{
	/* On failure the kernel drops the mapping without a close: the core then has counted nothing. */
	vma->vm_ops = &file_vm_ops;
	return ops_of(file)->mmap(file->private_data, (struct port_vma *)vma);
}

/* ---- mappings of arenas ----------------------------------------------------------------------------------- */

static int arena_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

static int arena_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

static vm_fault_t arena_fault(struct vm_fault *vmf)
{
	struct file *file = vmf->vma->vm_file;
	int ret = ops_of(file)->fault(file->private_data, (struct port_fault *)vmf, vmf->address);

	if (!ret)
		return VM_FAULT_NOPAGE;
	return ret == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGSEGV;
}

static const struct vm_operations_struct arena_vm_ops = {
	.open = file_vma_open,
	.close = file_vma_close,
	.may_split = arena_may_split,
	.mremap = arena_mremap,
	.fault = arena_fault,
};

static unsigned long free_area(struct file *file, unsigned long addr, unsigned long len, unsigned long pgoff, unsigned long flags)
{
#ifdef MODBPF_HAVE_MM_GET_UNMAPPED_AREA
	return mm_get_unmapped_area(current->mm, file, addr, len, pgoff, flags);
#else
	return current->mm->get_unmapped_area(file, addr, len, pgoff, flags);
#endif
}

/* Of twice the size, so that one half has all its addresses in one piece of 4 GiB. */
static unsigned long file_get_unmapped_area(struct file *file, unsigned long addr, unsigned long len, unsigned long pgoff,
					    unsigned long flags)
{
	int ret = ops_of(file)->place(file->private_data, addr, len, (u64)pgoff << PAGE_SHIFT);
	unsigned long at;

	if (ret <= 0)
		return ret ? ret : free_area(file, addr, len, pgoff, flags);
	at = free_area(file, addr, len * 2, 0, flags);
	if (IS_ERR_VALUE(at) || at >> 32 == (at + len - 1) >> 32)
		return at;
	return flags & MAP_FIXED ? -EINVAL : round_up(at, 1UL << 32);
}

int port_file_class_register(const struct port_file_ops *ops)
{
	struct file_class *c;

	if (!ops->release || !ops->name)
		return -EINVAL;
	if (class_count == PORT_FILE_CLASSES)
		return -ENOSPC;
	c = &classes[class_count++];
	c->ops = ops;
	c->fops = (struct file_operations){
		.owner = THIS_MODULE,
		.release = file_release,
		.mmap = ops->mmap ? file_mmap : NULL,
		.poll = ops->poll ? file_poll : NULL,
		.show_fdinfo = ops->show_fdinfo ? file_show_fdinfo : NULL,
		.read = ops->read ? file_read : NULL,
		.get_unmapped_area = ops->place ? file_get_unmapped_area : NULL,
		.unlocked_ioctl = ops->ioctl ? file_ioctl : NULL,
		.compat_ioctl = ops->ioctl ? compat_ptr_ioctl : NULL,
	};
	return 0;
}

/* The table is read-only by now and goes with the module; no file of any class is open. */
void port_file_class_unregister_all(void)
{
}

static struct file_class *class_of(const struct port_file_ops *ops)
{
	unsigned int i;

	for (i = 0; i < class_count; i++)
		if (classes[i].ops == ops)
			return &classes[i];
	return NULL;
}

const struct port_file_ops *modbpf_class_at(unsigned int index)
{
	return classes[index].ops;
}

const struct file_operations *modbpf_class_fops(const struct port_file_ops *ops)
{
	return &class_of(ops)->fops;
}

int modbpf_class_index(const struct port_file_ops *ops, unsigned int *index)
{
	struct file_class *c = class_of(ops);

	if (!c || !ops->hold)
		return -EINVAL;
	*index = c - classes;
	return 0;
}

int port_fd_create(const struct port_file_ops *ops, void *obj, unsigned int flags)
{
	struct file_class *c = class_of(ops);
	struct port_arena *arena;
	struct file *file;
	int mode = O_RDWR, fd;

	if (!c)
		return -EINVAL;
	if (flags & PORT_FD_RDONLY)
		mode = O_RDONLY;
	else if (flags & PORT_FD_WRONLY)
		mode = O_WRONLY;
	if (flags & PORT_FD_CLOEXEC)
		mode |= O_CLOEXEC;
	if (modbpf_fail_nth())
		return -ENOMEM;
	arena = ops->arena ? ops->arena(obj) : NULL;
	if (!arena)
		return anon_inode_getfd(ops->name, &c->fops, obj, mode);
	fd = get_unused_fd_flags(mode);
	if (fd < 0)
		return fd;
	file = anon_inode_getfile(ops->name, &c->fops, obj, mode);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	file->f_mapping = modbpf_arena_mapping(arena);
	fd_install(fd, file);
	return fd;
}

/* The file's reference becomes the caller's, or is dropped. */
static int object_of(struct file *file, const struct port_file_ops *ops, struct port_file **out, void **obj)
{
	struct file_class *c = class_of(ops);

	if (!file)
		return -EBADF;
	if (!c || file->f_op != &c->fops) {
		fput(file);
		return -EINVAL;
	}
	*out = (struct port_file *)file;
	*obj = file->private_data;
	return 0;
}

int port_file_get(int fd, const struct port_file_ops *ops, struct port_file **out, void **obj)
{
	return object_of(fget(fd), ops, out, obj);
}

/* The task's table of files cannot go while the task is locked, nor change while the table is. */
static struct file *file_of(struct task_struct *task, u32 fd)
{
	struct file *file = NULL;

	task_lock(task);
	if (task->files) {
		spin_lock(&task->files->file_lock);
		file = files_lookup_fd_locked(task->files, fd);
		if (file && file->f_mode & FMODE_PATH)
			file = NULL;
		if (file)
			get_file(file);
		spin_unlock(&task->files->file_lock);
	}
	task_unlock(task);
	return file;
}

int port_file_get_of(s32 pid, u32 fd, const struct port_file_ops *ops, struct port_file **out, void **obj)
{
	struct task_struct *task;
	struct file *file;

	rcu_read_lock();
	task = get_pid_task(find_vpid(pid), PIDTYPE_PID);
	rcu_read_unlock();
	if (!task)
		return -ENOENT;
	file = file_of(task, fd);
	put_task_struct(task);
	return object_of(file, ops, out, obj);
}

int port_fd_close(int fd)
{
	return close_fd(fd);
}

void port_file_put(struct port_file *f)
{
	fput((struct file *)f);
}

unsigned int port_file_access(struct port_file *f)
{
	fmode_t mode = ((struct file *)f)->f_mode & (FMODE_READ | FMODE_WRITE);

	if (mode == FMODE_READ)
		return PORT_FD_RDONLY;
	return mode == FMODE_WRITE ? PORT_FD_WRONLY : 0;
}

/* ---- mappings: called inside ops->mmap, under the caller's mmap lock ---------------------------------- */

static struct vm_area_struct *vma_of(struct port_vma *v)
{
	return (struct vm_area_struct *)v;
}

static void vma_set_flags(struct vm_area_struct *vma, unsigned long flags)
{
#ifdef MODBPF_HAVE_VM_FLAGS_SET
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

static void vma_clear_flags(struct vm_area_struct *vma, unsigned long flags)
{
#ifdef MODBPF_HAVE_VM_FLAGS_SET
	vm_flags_clear(vma, flags);
#else
	vma->vm_flags &= ~flags;
#endif
}

size_t port_vma_size(struct port_vma *v)
{
	return vma_of(v)->vm_end - vma_of(v)->vm_start;
}

/* mmap(2) refuses offsets whose end does not fit in an unsigned long, so the shift loses nothing. */
u64 port_vma_offset(struct port_vma *v)
{
	return (u64)vma_of(v)->vm_pgoff << PAGE_SHIFT;
}

bool port_vma_writable(struct port_vma *v)
{
	return vma_of(v)->vm_flags & VM_WRITE;
}

bool port_vma_shared(struct port_vma *v)
{
	return vma_of(v)->vm_flags & VM_SHARED;
}

bool port_vma_may_write(struct port_vma *v)
{
	return vma_of(v)->vm_flags & VM_MAYWRITE;
}

void port_vma_forbid_write(struct port_vma *v)
{
	vma_clear_flags(vma_of(v), VM_MAYWRITE);
}

void port_vma_forbid_exec(struct port_vma *v)
{
	vma_clear_flags(vma_of(v), VM_MAYEXEC);
}

int port_vma_map(struct port_vma *v, struct port_region *r, size_t region_off)
{
	struct vm_area_struct *vma = vma_of(v);
	size_t pages = port_vma_size(v) >> PAGE_SHIFT;
	size_t first = region_off >> PAGE_SHIFT;
	struct page **page;
	size_t count, i;
	int ret;

	page = modbpf_region_pages(r, &count);
	if (!PAGE_ALIGNED(region_off) || first > count || pages > count - first)
		return -EINVAL;
	vma_set_flags(vma, VM_DONTEXPAND | VM_DONTDUMP);
	for (i = 0; i < pages; i++) {
		ret = vm_insert_page(vma, vma->vm_start + (i << PAGE_SHIFT), page[first + i]);
		if (ret)
			return ret;
		cond_resched();
	}
	return 0;
}

u64 port_vma_addr(struct port_vma *v)
{
	return vma_of(v)->vm_start;
}

int port_vma_map_arena(struct port_vma *v, struct port_arena *a)
{
	struct vm_area_struct *vma = vma_of(v);

	vma_set_flags(vma, VM_DONTEXPAND | VM_DONTCOPY | VM_MIXEDMAP);
	vma->vm_ops = &arena_vm_ops;
	modbpf_arena_mapped_at(a, vma->vm_start);
	return 0;
}

int port_fault_map(struct port_fault *f, struct port_arena *a, u32 page)
{
	struct vm_fault *vmf = (struct vm_fault *)f;
	struct page *p = modbpf_arena_page(a, page);
	int ret = p ? vm_insert_page(vmf->vma, vmf->address & PAGE_MASK, p) : -EFAULT;

	return ret == -EBUSY ? 0 : ret; /* another thread was faster */
}

/* ---- wait queues ---------------------------------------------------------------------------------------- */

static void wake_irq(struct irq_work *irq)
{
	wake_up_all(&container_of(irq, struct port_waitq, irq)->head);
}

struct port_waitq *port_waitq_create(void)
{
	struct port_waitq *q = port_alloc(sizeof(*q), PORT_SLEEPING);

	if (!q)
		return NULL;
	init_waitqueue_head(&q->head);
	init_irq_work(&q->irq, wake_irq);
	return q;
}

/* Pollers are gone: each holds the file, and through it the object that owns q. */
void port_waitq_destroy(struct port_waitq *q)
{
	if (!q)
		return;
	irq_work_sync(&q->irq);
	port_free(q);
}

notrace void port_waitq_wake(struct port_waitq *q)
{
	irq_work_queue(&q->irq);
}

void port_poll_wait(struct port_poll *p, struct port_waitq *q)
{
	poll_wait(p->file, &q->head, p->table);
}

void port_module_pin(void)
{
	__module_get(THIS_MODULE);
}

/* Called by a worker of ours, too: exit waits for it to return. */
void port_module_unpin(void)
{
	module_put(THIS_MODULE);
}

void port_seq_printf(struct port_seq *s, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	seq_vprintf((struct seq_file *)s, fmt, args);
	va_end(args);
}
