// SPDX-License-Identifier: Apache-2.0
// Against a real etcd.
#include "zonecache/etcd.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include <filesystem>

#include "base/clock.h"
#include "base/process.h"
#include "base/random.h"
#include "net/tcp.h"

namespace morsel {
namespace {

std::string FreeAddress() {
  const Fd listener =
      ListenOn(ResolveAddress("127.0.0.1:0").value(), 1).value();
  return BoundAddress(listener.get())->ToString();
}

class EtcdTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("morsel-etcd-" + RandomHex(SystemRandom(), 8));
    options_.url = "http://" + FreeAddress();
    options_.pause = std::chrono::milliseconds(50);
    options_.lease = std::chrono::seconds(2);
    StartEtcd();
  }
  void TearDown() override {
    StopEtcd();
    std::filesystem::remove_all(folder_);
  }

  void StartEtcd() {
    SpawnOptions spawn;
    const std::string peer = "http://" + FreeAddress();
    spawn.argv = {"etcd",
                  "--data-dir",
                  folder_.string(),
                  "--listen-client-urls",
                  options_.url,
                  "--advertise-client-urls",
                  options_.url,
                  "--listen-peer-urls",
                  peer,
                  "--log-level",
                  "error"};
    spawn.env = {"ETCD_UNSUPPORTED_ARCH=arm64"};
    spawn.die_with_parent = true;
    auto child = Spawn(spawn);
    if (!child.ok()) GTEST_SKIP() << child.error().message;
    etcd_ = std::move(*child);
  }
  void StopEtcd() {
    if (etcd_.pid < 0) return;
    kill(etcd_.pid, SIGKILL);
    (void)WaitChild(etcd_);
    etcd_.pid = -1;
  }

  void Watch() {
    auto watch = EtcdMembership::Watch(
        options_, [this](const std::vector<NodeSpec>& nodes) {
          const MutexLock lock(mutex_);
          nodes_ = nodes;
          changed_.NotifyAll();
        });
    ASSERT_TRUE(watch.ok());
    membership_ = std::move(*watch);
    membership_->Begin();
  }

  std::unique_ptr<EtcdLease> Keep(const std::string& address,
                                  const std::string& weight) {
    return EtcdLease::Keep(options_, address, weight).value();
  }

  // Waits until the list is this one; the limit is a guard against hangs.
  void ExpectNodes(const std::vector<NodeSpec>& expected) {
    const auto end = SystemClock().Now() + std::chrono::minutes(2);
    const MutexLock lock(mutex_);
    while (nodes_ != expected && changed_.WaitUntil(mutex_, end)) continue;
    EXPECT_EQ(nodes_, expected);
  }

  EtcdOptions options_;
  std::filesystem::path folder_;
  Child etcd_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<NodeSpec> nodes_ GUARDED_BY(mutex_){{"nothing yet", 1}};
  std::unique_ptr<EtcdMembership> membership_;
};

TEST_F(EtcdTest, NodesComeAndGoWithTheirLeases) {
  Watch();
  ExpectNodes({});
  auto one = Keep("10.0.0.1:11311", "1");
  ExpectNodes({{"10.0.0.1:11311", 1}});
  auto two = Keep("10.0.0.2:11311", "2.5");
  ExpectNodes({{"10.0.0.1:11311", 1}, {"10.0.0.2:11311", 2.5}});
  one.reset();
  ExpectNodes({{"10.0.0.2:11311", 2.5}});
}

TEST_F(EtcdTest, AnEtcdThatReturnsFindsItsNodesAgain) {
  Watch();
  auto one = Keep("10.0.0.1:11311", "1");
  ExpectNodes({{"10.0.0.1:11311", 1}});
  StopEtcd();
  // A new node comes while it is away.
  auto two = Keep("10.0.0.2:11311", "1");
  StartEtcd();
  ExpectNodes({{"10.0.0.1:11311", 1}, {"10.0.0.2:11311", 1}});
}

TEST_F(EtcdTest, AWrongWeightIsRefused) {
  EXPECT_EQ(EtcdLease::Keep(options_, "a:1", "x").error().code, Code::kInvalid);
}

}  // namespace
}  // namespace morsel
