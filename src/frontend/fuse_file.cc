// SPDX-License-Identifier: Apache-2.0
#include "frontend/fuse_file.h"

// FUSE_USE_VERSION is the interface that the code below is written for.
#define FUSE_USE_VERSION 314
#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "base/log.h"
#include "frontend/error_log.h"

namespace morsel {
namespace {

constexpr fuse_ino_t kDiskInode = 2;
constexpr std::string_view kDiskName = "disk";
constexpr double kForeverSeconds = 1e9;  // names and sizes never change
constexpr mode_t kDiskMode = S_IFREG | 0600;
constexpr mode_t kRootMode = S_IFDIR | 0700;
// Requests that the kernel lets wait here at once. Its default of 12 caps a
// loop device: queue depth 32 at 2 ms gives 5.3k IOPS, with 256 11.6k.
constexpr unsigned kMaxBackground = 256;
constexpr uint64_t kPage = 4096;

// The request that this thread is working on: libfuse's callbacks have no
// argument for it.
struct Current {
  MutableByteSpan slot;
  FuseMark* mark = nullptr;
  uint64_t unique = 0;
};
thread_local Current current;

fuse_in_header HeaderOf(ByteSpan slot) {
  fuse_in_header header;
  std::memcpy(&header, slot.data(), sizeof(header));
  return header;
}

class FuseServer final : public FuseFile {
 public:
  FuseServer(Clock& clock, const FuseFileOptions& options)
      : options_(options),
        slots_(*options.slots),
        clock_(clock),
        errors_(clock),
        left_over_(slots_.thread_count()) {}
  ~FuseServer() override {
    if (session_ != nullptr) ::fuse_session_destroy(session_);
  }

  Status Mount();
  Status Start(BlockDevice& device) override;
  void Serve() override;

  struct stat Attributes(fuse_ino_t inode) const;
  void Read(fuse_req_t request, size_t size, off_t offset);
  void Write(fuse_req_t request, const char* data, size_t size, off_t offset);
  void Flush(fuse_req_t request);
  void Allocate(fuse_req_t request, int mode, off_t offset, off_t length);
  void List(fuse_req_t request, size_t size, off_t offset);
  const FuseFileOptions& options() const { return options_; }
  uint64_t device_size() const { return device_->size(); }

 private:
  Status ReceiveInit();
  void TakeOver();
  void TakeOver(const HeldRequest& held);
  void ServeAs(size_t thread);
  // One request; false when the connection has ended.
  bool ServeOne(size_t thread);
  // What lies in the thread's slot.
  void Process(size_t thread);
  // `unique` asks that the request `target` ends.
  void Interrupt(uint64_t unique, uint64_t target);
  // An answer past libfuse; `result` is bytes, or -errno.
  void Answer(uint64_t unique, uint32_t opcode, int64_t result);
  // For what has changed the device: marks it, then answers.
  void ReplyChanged(fuse_req_t request, int64_t result);
  // The errno for the kernel; logs.
  int Failed(std::string_view call, uint64_t offset, uint64_t length,
             const Error& error);

  BlockDevice* device_ = nullptr;  // set by Start, before any request
  const FuseFileOptions options_;
  FuseSlots& slots_;
  Clock& clock_;
  ErrorLog errors_;
  // The threads whose slot holds a request of a predecessor's that they begin
  // with.
  std::vector<bool> left_over_;
  fuse_session* session_ = nullptr;
};

FuseServer& ServerOf(fuse_req_t request) {
  return *static_cast<FuseServer*>(::fuse_req_userdata(request));
}

void OnInit(void*, fuse_conn_info* connection) {
  connection->want &= ~static_cast<unsigned>(
      FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
  connection->max_write = kFuseMaxIo;
  connection->max_readahead = kFuseMaxIo;
  connection->max_background = kMaxBackground;
  connection->congestion_threshold = kMaxBackground * 3 / 4;
}

void OnLookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  if (parent != FUSE_ROOT_ID || name != kDiskName) {
    ::fuse_reply_err(request, ENOENT);
    return;
  }
  fuse_entry_param entry{};
  entry.ino = kDiskInode;
  entry.attr = ServerOf(request).Attributes(kDiskInode);
  entry.attr_timeout = kForeverSeconds;
  entry.entry_timeout = kForeverSeconds;
  ::fuse_reply_entry(request, &entry);
}

void OnGetAttributes(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  const struct stat attributes = ServerOf(request).Attributes(inode);
  ::fuse_reply_attr(request, &attributes, kForeverSeconds);
}

void OnOpen(fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
  const bool writes = (file->flags & O_ACCMODE) != O_RDONLY;
  if (writes && ServerOf(request).options().read_only) {
    ::fuse_reply_err(request, EACCES);
    return;
  }
  file->direct_io = 1;
  ::fuse_reply_open(request, file);
}

void OnRead(fuse_req_t request, fuse_ino_t, size_t size, off_t offset,
            fuse_file_info*) {
  ServerOf(request).Read(request, size, offset);
}

void OnWrite(fuse_req_t request, fuse_ino_t, const char* data, size_t size,
             off_t offset, fuse_file_info*) {
  ServerOf(request).Write(request, data, size, offset);
}

void OnFsync(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) {
  ServerOf(request).Flush(request);
}

void OnFallocate(fuse_req_t request, fuse_ino_t, int mode, off_t offset,
                 off_t length, fuse_file_info*) {
  ServerOf(request).Allocate(request, mode, offset, length);
}

void OnReadDirectory(fuse_req_t request, fuse_ino_t, size_t size, off_t offset,
                     fuse_file_info*) {
  ServerOf(request).List(request, size, offset);
}

void OnStatFs(fuse_req_t request, fuse_ino_t) {
  struct statvfs status {};
  status.f_bsize = kPage;
  status.f_frsize = kPage;
  status.f_blocks = ServerOf(request).device_size() / kPage;
  status.f_files = 1;
  status.f_namemax = 255;
  ::fuse_reply_statfs(request, &status);
}

// What is not named here is answered with ENOSYS by libfuse.
const fuse_lowlevel_ops kOperations = {
    .init = OnInit,
    .lookup = OnLookup,
    .getattr = OnGetAttributes,
    .open = OnOpen,
    .read = OnRead,
    .write = OnWrite,
    .fsync = OnFsync,
    .readdir = OnReadDirectory,
    .statfs = OnStatFs,
    .fallocate = OnFallocate,
};

Status FuseServer::Mount() {
  std::string name = "morsel";
  std::array<char*, 1> argv = {name.data()};
  fuse_args args = FUSE_ARGS_INIT(1, argv.data());
  session_ = ::fuse_session_new(&args, &kOperations, sizeof(kOperations), this);
  ::fuse_opt_free_args(&args);
  if (session_ == nullptr)
    return MakeError(Code::kIo, "libfuse makes no session");
  // The name by which libfuse takes a descriptor that is mounted already.
  const std::string path = "/dev/fd/" + std::to_string(options_.fuse_fd);
  if (::fuse_session_mount(session_, path.c_str()) != 0)
    return MakeError(Code::kIo, "libfuse refuses the descriptor " + path);
  return Ok();
}

Status FuseServer::Start(BlockDevice& device) {
  device_ = &device;
  Bytes init = slots_.Init();
  if (init.empty()) return ReceiveInit();
  slots_.RecordInit(init);
  fuse_buf buffer{};
  buffer.mem = init.data();
  buffer.size = init.size();
  ::fuse_session_process_buf(session_, &buffer);
  TakeOver();
  return Ok();
}

Status FuseServer::ReceiveInit() {
  RETURN_IF_ERROR(slots_.MakeResident(0));
  const MutableByteSpan slot = slots_.slot(0);
  fuse_buf buffer{};
  buffer.mem = slot.data();
  int length = -EINTR;
  while (length == -EINTR)
    length = ::fuse_session_receive_buf(session_, &buffer);
  if (length <= 0 || HeaderOf(slot).opcode != FUSE_INIT)
    return MakeError(Code::kIo, "the FUSE connection ended before its INIT");
  slots_.RecordInit(slot.first(static_cast<size_t>(length)));
  Process(0);
  return Ok();
}

void FuseServer::TakeOver() {
  const std::vector<HeldRequest> all = slots_.Held();
  for (const HeldRequest& held : all) TakeOver(held);
  if (!all.empty())
    LogInfo("took over what was in flight", {{"requests", all.size()}});
}

void FuseServer::TakeOver(const HeldRequest& held) {
  FuseMark& mark = slots_.mark(held.slot);
  switch (held.action) {
    case HeldRequest::Action::kChange:
      Process(held.slot);
      return;
    case HeldRequest::Action::kExecute:
      left_over_[held.slot] = true;
      return;
    case HeldRequest::Action::kDrop:
      break;
    case HeldRequest::Action::kAnswer:
      Answer(held.unique, held.opcode, held.result);
      mark.finished.fetch_add(1);
      break;
    case HeldRequest::Action::kFail:
      LogError("a request was in work when three children died; it fails",
               {{"unique", held.unique}, {"opcode", held.opcode}});
      Answer(held.unique, held.opcode, -EIO);
      break;
  }
  mark.answered.store(held.unique);
}

void FuseServer::Serve() {
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < slots_.thread_count(); ++i)
    threads.emplace_back([this, i] { ServeAs(i); });
}

void FuseServer::ServeAs(size_t thread) {
  const Status resident = slots_.MakeResident(thread);
  if (!resident.ok())
    LogError("a thread of the device does not serve",
             {{"cause", resident.error().message}});
  if (left_over_[thread]) Process(thread);
  while (resident.ok() && ServeOne(thread)) continue;
}

bool FuseServer::ServeOne(size_t thread) {
  const MutableByteSpan slot = slots_.slot(thread);
  fuse_buf buffer{};
  buffer.mem = slot.data();
  const int length = ::fuse_session_receive_buf(session_, &buffer);
  if (length == -EINTR) return true;
  if (length <= 0) return false;
  Process(thread);
  return true;
}

void FuseServer::Process(size_t thread) {
  const MutableByteSpan slot = slots_.slot(thread);
  const fuse_in_header header = HeaderOf(slot);
  FuseMark& mark = slots_.mark(thread);
  if (header.opcode == FUSE_INTERRUPT) {
    fuse_interrupt_in interrupt;
    std::memcpy(&interrupt, slot.data() + sizeof(header), sizeof(interrupt));
    Interrupt(header.unique, interrupt.unique);
    return;
  }
  slots_.Begin(thread, header.unique, header.opcode, clock_.Now());
  current = {slot, &mark, header.unique};
  fuse_buf buffer{};
  buffer.mem = slot.data();
  buffer.size = header.len;
  ::fuse_session_process_buf(session_, &buffer);
  mark.answered.store(header.unique, std::memory_order_release);
  mark.finished.store(mark.finished.load(std::memory_order_relaxed) + 1,
                      std::memory_order_relaxed);
}

// The thread that works on the read goes on in vain: the kernel refuses its
// answer.
void FuseServer::Interrupt(uint64_t unique, uint64_t target) {
  for (size_t i = 0; i < slots_.thread_count(); ++i) {
    const FuseMark& mark = slots_.mark(i);
    if (mark.begun.load(std::memory_order_acquire) != target) continue;
    if (mark.opcode.load(std::memory_order_relaxed) == FUSE_READ)
      Answer(target, FUSE_READ, -EINTR);
    return;
  }
  // Just received and not begun: the kernel asks again.
  Answer(unique, FUSE_INTERRUPT, -EAGAIN);
}

void FuseServer::Answer(uint64_t unique, uint32_t opcode, int64_t result) {
  fuse_out_header header{};
  header.unique = unique;
  header.len = sizeof(header);
  fuse_write_out written{};
  std::array<iovec, 2> parts = {iovec{&header, sizeof(header)},
                                iovec{&written, sizeof(written)}};
  int part_count = 1;
  if (result < 0) {
    header.error = static_cast<int32_t>(result);
  } else if (opcode == FUSE_WRITE) {
    written.size = static_cast<uint32_t>(result);
    header.len += sizeof(written);
    part_count = 2;
  }
  // ENOENT: it has been answered before. Whatever else: the connection is
  // gone, as the next receive will find.
  [[maybe_unused]] const ssize_t sent =
      ::writev(options_.fuse_fd, parts.data(), part_count);
}

void FuseServer::ReplyChanged(fuse_req_t request, int64_t result) {
  current.mark->result.store(result, std::memory_order_relaxed);
  current.mark->executed.store(current.unique, std::memory_order_release);
  if (result > 0)
    ::fuse_reply_write(request, static_cast<size_t>(result));
  else
    ::fuse_reply_err(request, static_cast<int>(-result));
}

struct stat FuseServer::Attributes(fuse_ino_t inode) const {
  struct stat attributes {};
  attributes.st_ino = inode;
  attributes.st_uid = options_.owner_uid;
  attributes.st_gid = options_.owner_gid;
  attributes.st_blksize = kPage;
  if (inode == FUSE_ROOT_ID) {
    attributes.st_mode = kRootMode;
    attributes.st_nlink = 2;
    return attributes;
  }
  attributes.st_mode = kDiskMode;
  attributes.st_nlink = 1;
  attributes.st_size = static_cast<off_t>(device_->size());
  attributes.st_blocks = static_cast<blkcnt_t>(device_->size() / 512);
  return attributes;
}

int FuseServer::Failed(std::string_view call, uint64_t offset, uint64_t length,
                       const Error& error) {
  errors_.Add(call, offset, length, error);
  return CodeToErrno(error.code);
}

void FuseServer::Read(fuse_req_t request, size_t size, off_t offset) {
  // With direct I/O the kernel asks past the end too; a short answer is the
  // end of the file.
  const auto begin = static_cast<uint64_t>(offset);
  const uint64_t left = begin < device_->size() ? device_->size() - begin : 0;
  const size_t length = std::min<uint64_t>({size, left, kFuseMaxIo});
  const MutableByteSpan reply = current.slot.subspan(kPage, length);
  const Status read = device_->Read(begin, reply);
  if (!read.ok()) {
    ::fuse_reply_err(request, Failed("read", begin, length, read.error()));
    return;
  }
  ::fuse_reply_buf(request, reinterpret_cast<const char*>(reply.data()),
                   length);
}

void FuseServer::Write(fuse_req_t request, const char* data, size_t size,
                       off_t offset) {
  const auto begin = static_cast<uint64_t>(offset);
  if (begin > device_->size() || size > device_->size() - begin) {
    ::fuse_reply_err(request, ENOSPC);  // as a block device at its end
    return;
  }
  const Status written =
      device_->Write(begin, std::as_bytes(std::span(data, size)));
  ReplyChanged(request, written.ok()
                            ? static_cast<int64_t>(size)
                            : -Failed("write", begin, size, written.error()));
}

void FuseServer::Flush(fuse_req_t request) {
  const Status flushed = device_->Flush();
  ReplyChanged(request,
               flushed.ok() ? 0 : -Failed("flush", 0, 0, flushed.error()));
}

// The loop driver asks so for discards (punch a hole) and for zeroing (punch a
// hole, or zero a range).
void FuseServer::Allocate(fuse_req_t request, int mode, off_t offset,
                          off_t length) {
  const auto begin = static_cast<uint64_t>(offset);
  const auto bytes = static_cast<uint64_t>(length);
  const bool punch = mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
  const bool zero = (mode & ~FALLOC_FL_KEEP_SIZE) == FALLOC_FL_ZERO_RANGE;
  if (!punch && !zero) {
    ::fuse_reply_err(request, EOPNOTSUPP);
    return;
  }
  const Status done =
      punch ? device_->Discard(begin, bytes) : device_->Zero(begin, bytes);
  const char* const call = punch ? "discard" : "zero";
  ReplyChanged(request,
               done.ok() ? 0 : -Failed(call, begin, bytes, done.error()));
}

void FuseServer::List(fuse_req_t request, size_t size, off_t offset) {
  std::array<char, 256> entry;
  if (offset > 0) {
    ::fuse_reply_buf(request, nullptr, 0);
    return;
  }
  const struct stat attributes = Attributes(kDiskInode);
  const size_t length =
      ::fuse_add_direntry(request, entry.data(), std::min(size, entry.size()),
                          kDiskName.data(), &attributes, 1);
  ::fuse_reply_buf(request, entry.data(), length);
}

}  // namespace

Result<std::unique_ptr<FuseFile>> FuseFile::Open(
    Clock& clock, const FuseFileOptions& options) {
  CHECK(options.slots != nullptr);
  auto server = std::make_unique<FuseServer>(clock, options);
  RETURN_IF_ERROR(server->Mount());
  return std::unique_ptr<FuseFile>(std::move(server));
}

}  // namespace morsel
