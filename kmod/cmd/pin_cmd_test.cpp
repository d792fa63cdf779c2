// SPDX-License-Identifier: GPL-2.0-only
// OBJ_PIN and OBJ_GET: what keeps an object, who gets it, and what is refused.
#include <sys/stat.h>

#include "cmd/core_test.h"

using namespace modbpf;
using namespace modbpf::test;

namespace {

class pin_cmd : public core_test {
protected:
    void SetUp() override {
        core_test::SetUp();
        char name[] = "/tmp/modbpf-pin-XXXXXX";
        ASSERT_TRUE(mkdtemp(name));
        dir_ = name;
    }
    void TearDown() override {
        for (const char *name : {"a", "b"})
            port_user_unpin(AT_FDCWD, path(name).c_str());
        rmdir(dir_.c_str());
        core_test::TearDown();
    }
    std::string path(const char *name) const { return dir_ + "/" + name; }
    static long at(u32 cmd, const char *path, u32 fd, u32 flags = 0, int path_fd = 0) {
        obj_attr a{.pathname = addr_of(path), .bpf_fd = fd, .file_flags = flags, .path_fd = path_fd};
        return bpf(cmd, a, 20);
    }
    long pin(const char *name, const fd &f, u32 flags = 0) { return at(BPF_OBJ_PIN, path(name).c_str(), f.u(), flags); }
    fd get(const char *name, u32 flags = 0) { return fd(at(BPF_OBJ_GET, path(name).c_str(), 0, flags)); }
    long get_error(const char *name, u32 flags = 0) { return at(BPF_OBJ_GET, path(name).c_str(), 0, flags); }

    std::string dir_;
};

TEST_F(pin_cmd, keeps_a_map_and_its_contents) {
    u32 key = 0;
    u64 value = 42, out = 0;
    {
        fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
        EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &value), 0);
        EXPECT_EQ(pin("a", m), 0);
    }
    {
        fd m = get("a");
        ASSERT_TRUE(m.ok());
        EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &key, &out), 0);
        EXPECT_EQ(out, 42u);
    }
    EXPECT_TRUE(port_user_unpin(AT_FDCWD, path("a").c_str()));
    EXPECT_FALSE(port_user_unpin(AT_FDCWD, path("a").c_str()));
    EXPECT_EQ(get_error("a"), -ENOENT);
    port_rcu_barrier();
    get_id_attr next{};
    EXPECT_EQ(bpf(BPF_MAP_GET_NEXT_ID, next, 8), -ENOENT); // nothing keeps it any more
}

/// A program array's slots are cleared when no user can reach it: a pin is such a user.
TEST_F(pin_cmd, a_pin_is_a_user_of_a_program_array) {
    u32 key = 0;
    fd p = load(BPF_PROG_TYPE_SOCKET_FILTER, return_zero());
    {
        fd m = make_map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1);
        u32 pfd = p.u();
        EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &pfd), 0);
        EXPECT_EQ(pin("a", m), 0);
    }
    fd m = get("a");
    u32 id = 0;
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &key, &id), 0);
    EXPECT_NE(id, 0u);
}

TEST_F(pin_cmd, keeps_a_program) {
    {
        fd p = load(BPF_PROG_TYPE_SOCKET_FILTER, return_zero());
        EXPECT_EQ(pin("b", p), 0);
        EXPECT_EQ(pin("b", p), -EEXIST);
        EXPECT_EQ(pin("a", p), 0); // a second name
    }
    fd p = get("b");
    EXPECT_TRUE(p.ok());
    EXPECT_NE(fdinfo(p.get()).find("prog_type:\t1"), std::string::npos);
}

TEST_F(pin_cmd, access_follows_the_flags) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    EXPECT_EQ(pin("a", m), 0);
    u32 key = 0;
    u64 value = 1;
    fd reader = get("a", BPF_F_RDONLY), writer = get("a", BPF_F_WRONLY);
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, reader, &key, &value), -EPERM);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, reader, &key, &value), 0);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, writer, &key, &value), -EPERM);
    EXPECT_EQ(get_error("a", BPF_F_RDONLY | BPF_F_WRONLY), -EINVAL);
}

TEST_F(pin_cmd, what_is_refused) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    enable_stats_attr s{};
    fd stats(bpf(BPF_ENABLE_STATS, s));
    ASSERT_TRUE(stats.ok());
    EXPECT_EQ(pin("a", stats), -EINVAL);
    EXPECT_EQ(at(BPF_OBJ_PIN, path("a").c_str(), 9999), -EINVAL);
    EXPECT_EQ(pin("a", m, BPF_F_RDONLY), -EINVAL);
    EXPECT_EQ(at(BPF_OBJ_PIN, path("a").c_str(), m.u(), 0, 5), -EINVAL); // a folder's fd without its flag
    EXPECT_EQ(at(BPF_OBJ_PIN, (dir_ + "/nowhere/a").c_str(), m.u()), -ENOENT);
    EXPECT_EQ(at(BPF_OBJ_PIN, dir_.c_str(), m.u()), -EEXIST);
    EXPECT_EQ(at(BPF_OBJ_PIN, nullptr, m.u()), -EFAULT);
    EXPECT_EQ(at(BPF_OBJ_PIN, "", m.u()), -ENOENT);
    EXPECT_EQ(at(BPF_OBJ_PIN, "a", m.u(), BPF_F_PATH_FD, 9999), -EBADF);
    EXPECT_EQ(at(BPF_OBJ_GET, path("a").c_str(), m.u()), -EINVAL);
    EXPECT_EQ(get_error("a", 1u << 20), -EINVAL);
    EXPECT_EQ(get_error("a"), -ENOENT);
    EXPECT_EQ(at(BPF_OBJ_GET, dir_.c_str(), 0), -EACCES); // no object of ours
}

TEST_F(pin_cmd, relative_to_a_folder) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    int dir = open(dir_.c_str(), O_PATH | O_DIRECTORY);
    EXPECT_EQ(at(BPF_OBJ_PIN, "a", m.u(), BPF_F_PATH_FD, dir), 0);
    EXPECT_TRUE(get("a").ok());
    EXPECT_TRUE(fd(at(BPF_OBJ_GET, "a", 0, BPF_F_PATH_FD, dir)).ok());
    close(dir);
}

}  // namespace
