// SPDX-License-Identifier: GPL-2.0-only
#include "prog/reaper.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace modbpf {
namespace {

struct object {
    reap_item item;
    std::vector<int> *log;
    int number;
};
void note(reap_item *i) {
    object *o = owner_of(i, &object::item);
    o->log->push_back(o->number);
}

TEST(Reaper, RunsTheOldestFirstAndFlushWaits) {
    reaper r;
    std::vector<int> log;
    object objects[3];
    for (int n = 0; n < 3; n++) {
        objects[n].log = &log;
        objects[n].number = n;
        r.push(&objects[n].item, note);
    }
    r.flush();
    EXPECT_EQ(log, (std::vector<int>{0, 1, 2}));
}

std::atomic<bool> gate;
std::atomic<int> freed;
void slow(reap_item *) {
    while (!gate)
        std::this_thread::yield();
    freed++;
}

// One lets go of more than can be freed while an object's end takes long: memory must not fill up with what waits.
TEST(Reaper, WhoeverLetsGoTooFastWaits) {
    reaper r;
    gate = false;
    freed = 0;
    std::vector<reap_item> items(5000);
    std::atomic<size_t> released{0};
    std::thread t([&] {
        for (reap_item &i : items) {
            r.push(&i, slow);
            r.pace();
            released++;
        }
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_GT(released, 500u);
    EXPECT_LT(released, 2000u);
    gate = true;
    t.join();
    r.flush();
    EXPECT_EQ(freed, 5000);
}

} // namespace
} // namespace modbpf
