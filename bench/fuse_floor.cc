// SPDX-License-Identifier: Apache-2.0
// The floor: a FUSE file with direct I/O that fills a buffer and has nothing
// behind it. No agent on this kernel and library can be faster; reads.sh gives
// the agent's figures as ratios to it.
//
//   fuse_floor MOUNTPOINT SIZE_BYTES      serves MOUNTPOINT/disk until unmount
#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr fuse_ino_t kDisk = 2;
constexpr double kForever = 1e9;
constexpr size_t kThreads = 8;
constexpr uint32_t kMaxRead = 1 << 20;

off_t g_size_bytes = 0;

struct stat AttributesOf(fuse_ino_t inode) {
  struct stat info {};
  info.st_ino = inode;
  info.st_mode = inode == kDisk ? S_IFREG | 0444 : S_IFDIR | 0755;
  info.st_nlink = 1;
  info.st_size = inode == kDisk ? g_size_bytes : 0;
  return info;
}

// libfuse wants the limit of the mount option here too.
void Initialize(void*, fuse_conn_info* connection) {
  connection->max_read = kMaxRead;
}

void GetAttributes(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  const struct stat info = AttributesOf(inode);
  fuse_reply_attr(request, &info, kForever);
}

void Lookup(fuse_req_t request, fuse_ino_t, const char* name) {
  if (std::strcmp(name, "disk") != 0) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  fuse_entry_param entry{};
  entry.ino = kDisk;
  entry.attr = AttributesOf(kDisk);
  entry.attr_timeout = kForever;
  entry.entry_timeout = kForever;
  fuse_reply_entry(request, &entry);
}

void Open(fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
  file->direct_io = 1;
  fuse_reply_open(request, file);
}

void Read(fuse_req_t request, fuse_ino_t, size_t size, off_t offset,
          fuse_file_info*) {
  thread_local std::vector<char> buffer(kMaxRead);
  std::memset(buffer.data(), static_cast<int>(offset >> 12), size);
  fuse_reply_buf(request, buffer.data(), size);
}

void Serve(fuse_session* session) {
  fuse_buf buffer{};
  while (fuse_session_exited(session) == 0) {
    const int n = fuse_session_receive_buf(session, &buffer);
    if (n == -EINTR) continue;
    if (n <= 0) break;
    fuse_session_process_buf(session, &buffer);
  }
  std::free(buffer.mem);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  g_size_bytes = std::atoll(argv[2]);
  fuse_lowlevel_ops operations{};
  operations.init = Initialize;
  operations.lookup = Lookup;
  operations.getattr = GetAttributes;
  operations.open = Open;
  operations.read = Read;
  std::vector<std::string> words = {
      argv[0], "-oallow_other,max_read=" + std::to_string(kMaxRead)};
  std::vector<char*> pointers = {words[0].data(), words[1].data()};
  fuse_args arguments = FUSE_ARGS_INIT(2, pointers.data());
  fuse_session* session =
      fuse_session_new(&arguments, &operations, sizeof(operations), nullptr);
  if (session == nullptr || fuse_session_mount(session, argv[1]) != 0) return 1;
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < kThreads; ++i) threads.emplace_back(Serve, session);
  }
  fuse_session_unmount(session);
  fuse_session_destroy(session);
  fuse_opt_free_args(&arguments);
}
