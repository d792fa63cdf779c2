// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file system that objects are pinned in: type "bpf-modbpf", so that tools that look for mounts of bpffs by the start of the
 * type's name find it, with bpffs's magic number.
 *
 * Each mount is a file system of its own, as in bpffs, except with the option "shared": all those mounts show the same one, and it
 * lives on without any mount while something is in it. That is what `modbpf exec` mounts: each of its commands sees what the
 * others have pinned.
 *
 * An inode of a regular file holds one reference to an object of the core, and knows its class by i_op. Every inode of the shared
 * file system but the root holds the superblock active: that, and through it the module, goes with the last one.
 */
#include "port/kernel/internal.h"

#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "modbpf.h"

#ifdef MODBPF_HAVE_MNT_IDMAP
typedef struct mnt_idmap idmap_t;
#define no_idmap (&nop_mnt_idmap)
#define idmap_of(mnt) mnt_idmap(mnt)
#else
typedef struct user_namespace idmap_t;
#define no_idmap (&init_user_ns)
#define idmap_of(mnt) mnt_user_ns(mnt)
#endif

static char shared_key; /* its address stands for the shared file system */

struct mount_options {
	bool shared;
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
};

/* The class of a regular file is its i_op, one of these, by the index that file.c gives the class. */
static const struct inode_operations object_iops[PORT_FILE_CLASSES];
static const struct inode_operations dir_iops;

static const struct port_file_ops *class_of(const struct inode *inode)
{
	unsigned int i;

	for (i = 0; i < PORT_FILE_CLASSES; i++)
		if (inode->i_op == &object_iops[i])
			return modbpf_class_at(i);
	return NULL;
}

static bool is_shared(const struct super_block *sb)
{
	return sb->s_fs_info == &shared_key;
}

static void set_times(struct inode *inode)
{
#ifdef MODBPF_HAVE_INODE_TS
	simple_inode_init_ts(inode);
#else
	inode->i_atime = inode->i_mtime = inode->i_ctime = current_time(inode);
#endif
}

/* Whoever makes it holds the superblock by a mount. */
static struct inode *new_object(struct super_block *sb, const struct inode *dir, umode_t mode)
{
	struct inode *inode = new_inode(sb);

	if (!inode)
		return NULL;
	inode->i_ino = get_next_ino();
	set_times(inode);
	inode_init_owner(no_idmap, inode, dir, mode);
	if (is_shared(sb))
		atomic_inc(&sb->s_active);
	return inode;
}

/* The inode is whole: it gets its name, and stays until that is removed. */
static void enter(struct dentry *dentry, struct inode *inode, struct inode *dir)
{
	d_instantiate(dentry, inode);
	dget(dentry);
#ifdef MODBPF_HAVE_INODE_TS
	inode_set_mtime_to_ts(dir, inode_set_ctime_current(dir));
#else
	dir->i_mtime = dir->i_ctime = current_time(dir);
#endif
}

static int dir_mkdir(idmap_t *idmap, struct inode *dir, struct dentry *dentry, umode_t mode)
{
	struct inode *inode = new_object(dir->i_sb, dir, mode | S_IFDIR);

	if (!inode)
		return -ENOSPC;
	inode->i_op = &dir_iops;
	inode->i_fop = &simple_dir_operations;
	inc_nlink(inode);
	inc_nlink(dir);
	enter(dentry, inode, dir);
	return 0;
}

static int dir_symlink(idmap_t *idmap, struct inode *dir, struct dentry *dentry, const char *target)
{
	char *text = kstrdup(target, GFP_USER | __GFP_NOWARN);
	struct inode *inode;

	if (!text)
		return -ENOMEM;
	inode = new_object(dir->i_sb, dir, S_IFLNK | 0777);
	if (!inode) {
		kfree(text);
		return -ENOSPC;
	}
	inode->i_op = &simple_symlink_inode_operations;
	inode->i_link = text;
	enter(dentry, inode, dir);
	return 0;
}

/* As in bpffs, names with a dot are kept for the file system itself. */
static struct dentry *dir_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	if ((dir->i_mode & S_IALLUGO) && strchr(dentry->d_name.name, '.'))
		return ERR_PTR(-EPERM);
	return simple_lookup(dir, dentry, flags);
}

static const struct inode_operations dir_iops = {
	.lookup = dir_lookup,
	.mkdir = dir_mkdir,
	.symlink = dir_symlink,
	.rmdir = simple_rmdir,
	.rename = simple_rename,
	.link = simple_link,
	.unlink = simple_unlink,
};

/* ---- the superblock -------------------------------------------------------------------------------------- */

/* The last use of an inode in a context that may sleep. */
static void super_destroy_inode(struct inode *inode)
{
	struct super_block *sb = inode->i_sb;
	const struct port_file_ops *ops = class_of(inode);

	if (ops)
		ops->release(inode->i_private);
	/*
	 * The root goes last, when the superblock has lost it. Of all others, who removes the name or closes the file has come here
	 * through a mount: the superblock does not end in this call, under the caller's locks.
	 */
	if (is_shared(sb) && sb->s_root)
		deactivate_super(sb);
}

/* After a grace period: walks of paths read links without locks. */
static void super_free_inode(struct inode *inode)
{
	if (S_ISLNK(inode->i_mode))
		kfree(inode->i_link);
	free_inode_nonrcu(inode);
}

static int super_show_options(struct seq_file *m, struct dentry *root)
{
	const struct inode *inode = d_inode(root);
	umode_t mode = inode->i_mode & S_IALLUGO & ~S_ISVTX;

	if (!uid_eq(inode->i_uid, GLOBAL_ROOT_UID))
		seq_printf(m, ",uid=%u", from_kuid_munged(&init_user_ns, inode->i_uid));
	if (!gid_eq(inode->i_gid, GLOBAL_ROOT_GID))
		seq_printf(m, ",gid=%u", from_kgid_munged(&init_user_ns, inode->i_gid));
	if (mode != 0777)
		seq_printf(m, ",mode=%o", mode);
	if (is_shared(root->d_sb))
		seq_puts(m, ",shared");
	return 0;
}

static const struct super_operations super_ops = {
	.statfs = simple_statfs,
	.drop_inode = generic_delete_inode,
	.show_options = super_show_options,
	.destroy_inode = super_destroy_inode,
	.free_inode = super_free_inode,
};

static int fill_super(struct super_block *sb, struct fs_context *fc)
{
	const struct mount_options *options = fc->fs_private;
	struct inode *root;

	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_magic = BPF_FS_MAGIC;
	sb->s_op = &super_ops;
	sb->s_time_gran = 1;
	root = new_inode(sb);
	if (!root)
		return -ENOMEM;
	root->i_ino = 1;
	root->i_mode = S_IFDIR | S_ISVTX | options->mode;
	root->i_uid = options->uid;
	root->i_gid = options->gid;
	set_times(root);
	root->i_op = &dir_iops;
	root->i_fop = &simple_dir_operations;
	set_nlink(root, 2);
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

/* ---- mounting -------------------------------------------------------------------------------------------- */

enum { OPT_UID, OPT_GID, OPT_MODE, OPT_SHARED };

static const struct fs_parameter_spec parameters[] = {
	fsparam_u32("uid", OPT_UID),
	fsparam_u32("gid", OPT_GID),
	fsparam_u32oct("mode", OPT_MODE),
	fsparam_flag("shared", OPT_SHARED),
	{}
};

/* bpffs has always taken any option. What would delegate rights by tokens is refused: there are none here. */
static int unknown_option(struct fs_context *fc, struct fs_parameter *param)
{
	int ret = vfs_parse_fs_param_source(fc, param);

	if (ret != -ENOPARAM)
		return ret;
	if (!strncmp(param->key, "delegate_", 9))
		return invalfc(fc, "%s: modbpf has no tokens; mount without it", param->key);
	return 0;
}

static int parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct mount_options *options = fc->fs_private;
	struct fs_parse_result result;
	int opt = fs_parse(fc, parameters, param, &result);

	switch (opt) {
	case -ENOPARAM:
		return unknown_option(fc, param);
	case OPT_UID:
		options->uid = make_kuid(current_user_ns(), result.uint_32);
		return uid_valid(options->uid) ? 0 : invalfc(fc, "bad value for '%s'", param->key);
	case OPT_GID:
		options->gid = make_kgid(current_user_ns(), result.uint_32);
		return gid_valid(options->gid) ? 0 : invalfc(fc, "bad value for '%s'", param->key);
	case OPT_MODE:
		options->mode = result.uint_32 & S_IALLUGO;
		return 0;
	case OPT_SHARED:
		options->shared = true;
		return 0;
	default:
		return opt;
	}
}

static int get_tree(struct fs_context *fc)
{
	const struct mount_options *options = fc->fs_private;

	return options->shared ? get_tree_keyed(fc, fill_super, &shared_key) : get_tree_nodev(fc, fill_super);
}

static void free_context(struct fs_context *fc)
{
	kfree(fc->fs_private);
}

static const struct fs_context_operations context_ops = {
	.free = free_context,
	.parse_param = parse_param,
	.get_tree = get_tree,
};

static int init_context(struct fs_context *fc)
{
	struct mount_options *options = kzalloc(sizeof(*options), GFP_KERNEL);

	if (!options)
		return -ENOMEM;
	options->uid = current_fsuid();
	options->gid = current_fsgid();
	options->mode = 0777;
	fc->fs_private = options;
	fc->ops = &context_ops;
	return 0;
}

/* Not for user namespaces: who mounts it has the rights of the initial one. */
static struct file_system_type type = {
	.owner = THIS_MODULE,
	.name = MODBPF_FS_TYPE,
	.init_fs_context = init_context,
	.parameters = parameters,
	.kill_sb = kill_litter_super,
};
MODULE_ALIAS_FS(MODBPF_FS_TYPE);

int modbpf_pin_init(void)
{
	return register_filesystem(&type);
}

void modbpf_pin_exit(void)
{
	unregister_filesystem(&type);
}

/* ---- the core's side ------------------------------------------------------------------------------------- */

/* Objects are no files, but some are what files are made from: the file is one of that class then. */
static int object_open(struct inode *inode, struct file *file)
{
	const struct port_file_ops *ops = class_of(inode), *as;
	const struct file_operations *fops;
	void *opened;
	int ret;

	if (!ops->open)
		return -EIO;
	ret = ops->open(inode->i_private, &as, &opened);
	if (ret)
		return ret;
	fops = modbpf_class_fops(as);
	replace_fops(file, fops_get(fops));
	file->private_data = opened;
	return 0;
}

static const struct file_operations object_fops = {
	.owner = THIS_MODULE,
	.open = object_open,
};

struct pinning {
	unsigned int class;
	void *obj;
};

static int make_object(struct dentry *dentry, umode_t mode, void *arg)
{
	const struct pinning *p = arg;
	struct inode *dir = d_inode(dentry->d_parent);
	struct inode *inode = new_object(dir->i_sb, dir, mode);

	if (!inode)
		return -ENOSPC;
	inode->i_op = &object_iops[p->class];
	inode->i_fop = &object_fops;
	inode->i_private = p->obj;
	enter(dentry, inode, dir);
	return 0;
}

int port_pin(int dirfd, u64 upath, const struct port_file_ops *ops, void *obj)
{
	struct pinning p = { .obj = obj };
	struct dentry *dentry;
	struct path path;
	umode_t mode;
	int ret;

	ret = modbpf_class_index(ops, &p.class);
	if (ret)
		return ret;
	dentry = user_path_create(dirfd, (const char __user *)upath, &path, 0);
	if (IS_ERR(dentry))
		return PTR_ERR(dentry);
	mode = S_IFREG | ((S_IRUSR | S_IWUSR) & ~current_umask());
	if (d_inode(path.dentry)->i_op != &dir_iops)
		ret = -EPERM;
	else
		ret = security_path_mknod(&path, dentry, mode, 0) ?: vfs_mkobj(dentry, mode, make_object, &p);
	done_path_create(&path, dentry);
	return ret;
}

int port_pinned(int dirfd, u64 upath, unsigned int access, const struct port_file_ops **ops, void **obj)
{
	int mask = access & PORT_FD_RDONLY ? MAY_READ : access & PORT_FD_WRONLY ? MAY_WRITE : MAY_READ | MAY_WRITE;
	struct inode *inode;
	struct path path;
	int ret;

	ret = user_path_at(dirfd, (const char __user *)upath, LOOKUP_FOLLOW, &path);
	if (ret)
		return ret;
	inode = d_inode(path.dentry);
	ret = inode_permission(idmap_of(path.mnt), inode, mask);
	*ops = class_of(inode);
	if (!ret && !*ops)
		ret = -EACCES;
	if (!ret) {
		*obj = inode->i_private;
		(*ops)->hold(*obj);
		touch_atime(&path);
	}
	path_put(&path);
	return ret;
}
