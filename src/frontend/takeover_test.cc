// SPDX-License-Identifier: Apache-2.0
// Servers that are killed at any moment, against a kernel that is a socket: it
// hands out requests and checks each answer against a model.
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <random>

#include "block/file_device.h"
#include "frontend/fuse_file.h"
#include "net/unix_socket.h"

namespace morsel {
namespace {

constexpr size_t kThreads = 3;
constexpr uint64_t kSize = 64 * kKiB;
constexpr uint64_t kBlock = 4 * kKiB;
constexpr uint64_t kDiskInode = 2;
constexpr int kPunch = 3;  // FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
constexpr int kHangGuardMs = 60'000;

struct Request {
  uint32_t opcode = 0;
  uint64_t offset = 0;
  Bytes bytes;  // of a write; what a read must give
  int error = 0;
};

// What all servers count together.
struct Counts {
  std::atomic<uint64_t> changes;
  std::atomic<uint64_t> calls;
  // While it is set, calls of the device wait.
  std::atomic<bool> slow;
};

class CountingDevice final : public BlockDevice {
 public:
  CountingDevice(std::unique_ptr<BlockDevice> next, Counts& counts)
      : next_(std::move(next)), counts_(counts) {}
  uint64_t size() const override { return next_->size(); }
  Status Read(uint64_t offset, MutableByteSpan out) override {
    ++counts_.calls;
    counts_.slow.wait(true);
    return next_->Read(offset, out);
  }
  Status Write(uint64_t offset, ByteSpan bytes) override {
    ++counts_.calls;
    counts_.slow.wait(true);
    ++counts_.changes;
    return next_->Write(offset, bytes);
  }
  Status Flush() override { return next_->Flush(); }
  Status Discard(uint64_t offset, uint64_t length) override {
    ++counts_.changes;
    return next_->Discard(offset, length);
  }
  Status Zero(uint64_t offset, uint64_t length) override {
    return next_->Zero(offset, length);
  }

 private:
  std::unique_ptr<BlockDevice> next_;
  Counts& counts_;
};

template <typename T>
void Append(Bytes& message, const T& part) {
  const auto bytes = std::as_bytes(std::span(&part, 1));
  message.insert(message.end(), bytes.begin(), bytes.end());
}

class TakeoverTest : public testing::Test {
 protected:
  void SetUp() override {
    auto ends = MakeSocketPair();
    ASSERT_TRUE(ends.ok());
    kernel_ = std::move(ends->first);
    server_end_ = std::move(ends->second);
    slots_file_ = MemoryFile(FuseSlots::FileSize(kThreads));
    disk_ = MemoryFile(kSize);
    counts_ = static_cast<Counts*>(::mmap(nullptr, sizeof(Counts),
                                          PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    SendInit();
  }
  void TearDown() override {
    Kill();
    ::munmap(counts_, sizeof(Counts));
  }

  static Fd MemoryFile(uint64_t size) {
    Result<Fd> file = MakeMemoryFile("file", {});
    EXPECT_TRUE(file.ok());
    EXPECT_EQ(::ftruncate(file->get(), static_cast<off_t>(size)), 0);
    return std::move(*file);
  }

  // A server in a process of its own.
  void Start() {
    server_ = ::fork();
    ASSERT_GE(server_, 0);
    if (server_ != 0) return;
    kernel_.Close();
    ::_exit(Serve());
  }
  int Serve() {
    auto slots =
        FuseSlots::Map(slots_file_.get(), kThreads, FuseSlots::Part::kWhole);
    if (!slots.ok() || !slots->LockInMemory().ok()) return 2;
    auto device = MakeFileDevice(std::move(disk_));
    if (!device.ok()) return 3;
    CountingDevice counting(std::move(*device), *counts_);
    auto file = FuseFile::Open(
        SystemClock(), {.fuse_fd = server_end_.Release(), .slots = &*slots});
    if (!file.ok() || !(*file)->Start(counting).ok()) return 4;
    (*file)->Serve();
    return 0;
  }
  void Kill() {
    if (server_ <= 0) return;
    ::kill(server_, SIGKILL);
    ::waitpid(server_, nullptr, 0);
    server_ = 0;
  }

  uint64_t Send(uint32_t opcode, uint64_t inode, ByteSpan body) {
    const uint64_t unique = next_unique_;
    next_unique_ += 2;
    fuse_in_header header{};
    header.len = static_cast<uint32_t>(sizeof(header) + body.size());
    header.opcode = opcode;
    header.unique = unique;
    header.nodeid = inode;
    Bytes message;
    Append(message, header);
    message.insert(message.end(), body.begin(), body.end());
    EXPECT_TRUE(SendMessage(kernel_.get(), message, {}, Deadline::max()).ok());
    return unique;
  }
  void SendInit() {
    fuse_init_in init{};
    init.major = FUSE_KERNEL_VERSION;
    init.minor = 31;
    init.flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES;
    Bytes body;
    Append(body, init);
    init_ = Send(FUSE_INIT, 0, body);
  }
  void SendRequest(const Request& request) {
    Bytes body;
    if (request.opcode == FUSE_READ) {
      fuse_read_in in{};
      in.offset = request.offset;
      in.size = kBlock;
      Append(body, in);
    } else if (request.opcode == FUSE_WRITE) {
      fuse_write_in in{};
      in.offset = request.offset;
      in.size = kBlock;
      Append(body, in);
      body.insert(body.end(), request.bytes.begin(), request.bytes.end());
    } else if (request.opcode == FUSE_FALLOCATE) {
      fuse_fallocate_in in{};
      in.offset = request.offset;
      in.length = kBlock;
      in.mode = kPunch;
      Append(body, in);
    } else {
      Append(body, fuse_fsync_in{});
    }
    open_.emplace(Send(request.opcode, kDiskInode, body), request);
  }

  // Asks that `target` ends.
  uint64_t SendInterrupt(uint64_t target) {
    fuse_interrupt_in in{};
    in.unique = target;
    Bytes body;
    Append(body, in);
    return Send(FUSE_INTERRUPT, 0, body);
  }
  // Until the device has been called.
  void AwaitCall() {
    while (counts_->calls.load() == 0) ::sched_yield();
  }

  // Takes one answer; false if there is none within `timeout_ms`.
  bool Receive(int timeout_ms) {
    pollfd polled{kernel_.get(), POLLIN, 0};
    if (::poll(&polled, 1, timeout_ms) < 1) return false;
    Bytes buffer(kFuseSlotSize);
    const auto message = TryReceiveMessage(kernel_.get(), buffer);
    if (!message.ok() || !message->has_value()) return false;
    fuse_out_header header;
    std::memcpy(&header, buffer.data(), sizeof(header));
    EXPECT_EQ(header.len, (*message)->byte_count);
    last_error_ = header.error;
    last_unique_ = header.unique;
    const auto found = open_.find(header.unique);
    // ENOENT, says the kernel: it has been answered before.
    if (found == open_.end()) return true;
    Check(
        found->second, header,
        ByteSpan(buffer).subspan(sizeof(header), header.len - sizeof(header)));
    open_.erase(found);
    return true;
  }
  void Check(const Request& request, const fuse_out_header& header,
             ByteSpan body) {
    EXPECT_EQ(header.error, request.error);
    if (header.error != 0) return;
    if (request.opcode == FUSE_READ) {
      EXPECT_TRUE(std::ranges::equal(body, request.bytes))
          << "at " << request.offset;
    }
    if (request.opcode == FUSE_WRITE) {
      fuse_write_out out{};
      ASSERT_EQ(body.size(), sizeof(out));
      std::memcpy(&out, body.data(), sizeof(out));
      EXPECT_EQ(out.size, kBlock);
    }
  }

  bool IsBusy(uint64_t offset) const {
    for (const auto& [unique, request] : open_)
      if (request.opcode != FUSE_FSYNC && request.offset == offset) return true;
    return false;
  }

  Fd kernel_;
  Fd server_end_;
  Fd slots_file_;
  Fd disk_;
  Counts* counts_ = nullptr;
  pid_t server_ = 0;
  uint64_t next_unique_ = 2;
  uint64_t init_ = 0;
  int last_error_ = 0;
  uint64_t last_unique_ = 0;
  std::map<uint64_t, Request> open_;
};

TEST_F(TakeoverTest, NoKillLosesOrGarblesARequest) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::map<uint64_t, Bytes> model;
  for (uint64_t at = 0; at < kSize; at += kBlock) model[at] = Bytes(kBlock);
  Start();
  for (int i = 0; i < 500; ++i) {
    Request request;
    request.offset = random() % (kSize / kBlock) * kBlock;
    constexpr std::array<uint32_t, 4> kOpcodes = {FUSE_READ, FUSE_WRITE,
                                                  FUSE_FALLOCATE, FUSE_FSYNC};
    request.opcode = kOpcodes[random() % kOpcodes.size()];
    // As a file system does: no two requests on one place at once.
    while (open_.size() >= 2 * kThreads || IsBusy(request.offset))
      ASSERT_TRUE(Receive(kHangGuardMs));
    Bytes& place = model[request.offset];
    if (request.opcode == FUSE_WRITE)
      place.assign(kBlock, static_cast<std::byte>(random()));
    if (request.opcode == FUSE_FALLOCATE) place.assign(kBlock, std::byte{0});
    request.bytes = place;
    SendRequest(request);
    while (Receive(0)) continue;
    if (random() % 16 != 0) continue;
    Kill();
    Start();
  }
  while (!open_.empty()) ASSERT_TRUE(Receive(kHangGuardMs));
}

TEST_F(TakeoverTest, WhatWasExecutedIsNotExecutedAgain) {
  Start();
  for (uint64_t i = 0; i < 12; ++i) {
    const Request request{.opcode = FUSE_WRITE,
                          .offset = i % 16 * kBlock,
                          .bytes = Bytes(kBlock, std::byte{1})};
    SendRequest(request);
    while (!open_.empty()) ASSERT_TRUE(Receive(kHangGuardMs));
    Kill();
    Start();
  }
  EXPECT_EQ(counts_->changes.load(), 12U);
}

TEST_F(TakeoverTest, ARequestThatKillsThreeServersFails) {
  Start();
  // Answered: the server is up.
  SendRequest({.opcode = FUSE_FSYNC, .offset = 0, .bytes = {}});
  while (!open_.empty()) ASSERT_TRUE(Receive(kHangGuardMs));
  Kill();
  auto slots =
      FuseSlots::Map(slots_file_.get(), kThreads, FuseSlots::Part::kWhole);
  ASSERT_TRUE(slots.ok());
  // As if a thread had died three times over a write that it received.
  fuse_in_header header{};
  header.len = sizeof(header) + sizeof(fuse_write_in);
  header.opcode = FUSE_WRITE;
  header.unique = 1000;
  std::memcpy(slots->slot(1).data(), &header, sizeof(header));
  for (int i = 0; i < 3; ++i) {
    slots->Begin(1, header.unique, header.opcode, SystemClock().Now());
    slots->CountDeath({.killed = false, .now = SystemClock().Now()});
  }
  const uint64_t before = counts_->changes.load();
  Start();
  do {
    ASSERT_TRUE(Receive(kHangGuardMs));
  } while (last_error_ != -EIO);
  EXPECT_EQ(counts_->changes.load(), before);
}

TEST_F(TakeoverTest, WhenARequestWasFirstBegunIsKnownToEverySuccessor) {
  counts_->slow = true;
  Start();
  SendRequest({.opcode = FUSE_WRITE, .offset = 0, .bytes = Bytes(kBlock)});
  AwaitCall();
  auto slots =
      FuseSlots::Map(slots_file_.get(), kThreads, FuseSlots::Part::kWhole);
  ASSERT_TRUE(slots.ok());
  const uint64_t unique = open_.begin()->first;
  size_t thread = 0;
  while (slots->mark(thread).begun.load() != unique) ++thread;
  const FuseMark& mark = slots->mark(thread);
  const int64_t first = mark.first_begun_ns.load();
  EXPECT_EQ(mark.begun_ns.load(), first);
  for (int i = 0; i < 4; ++i) {
    Kill();
    counts_->calls = 0;
    Start();
    AwaitCall();
    EXPECT_EQ(mark.first_begun_ns.load(), first);
    EXPECT_GT(mark.begun_ns.load(), first);
  }
  Kill();
  counts_->slow = false;
  Start();
  while (!open_.empty()) ASSERT_TRUE(Receive(kHangGuardMs));
  EXPECT_EQ(counts_->changes.load(), 1U);
}

TEST_F(TakeoverTest, AnInterruptEndsAReadThatWaits) {
  counts_->slow = true;
  Start();
  SendRequest({.opcode = FUSE_READ, .offset = 0, .bytes = {}, .error = -EINTR});
  AwaitCall();
  SendInterrupt(open_.begin()->first);
  while (!open_.empty()) ASSERT_TRUE(Receive(kHangGuardMs));
}

TEST_F(TakeoverTest, AnInterruptOfWhatHasNotBegunIsAskedForAgain) {
  Start();
  const uint64_t asked = SendInterrupt(1000);
  do {
    ASSERT_TRUE(Receive(kHangGuardMs));
  } while (last_unique_ != asked);
  EXPECT_EQ(last_error_, -EAGAIN);
}

TEST_F(TakeoverTest, AnInterruptNeverEndsAWrite) {
  counts_->slow = true;
  Start();
  SendRequest({.opcode = FUSE_WRITE, .offset = 0, .bytes = Bytes(kBlock)});
  AwaitCall();
  SendInterrupt(open_.begin()->first);
  // Each is received after the interrupt was.
  for (int i = 0; i < 10; ++i) {
    const uint64_t other =
        Send(FUSE_GETATTR, kDiskInode, Bytes(sizeof(fuse_getattr_in)));
    do {
      ASSERT_TRUE(Receive(kHangGuardMs));
    } while (last_unique_ != other);
  }
  EXPECT_EQ(open_.size(), 1U);
  // Not even by a kill: the next server executes it.
  Kill();
  counts_->slow = false;
  Start();
  while (!open_.empty()) ASSERT_TRUE(Receive(kHangGuardMs));
  EXPECT_EQ(counts_->changes.load(), 1U);
}

}  // namespace
}  // namespace morsel
