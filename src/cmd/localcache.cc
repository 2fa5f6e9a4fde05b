// SPDX-License-Identifier: Apache-2.0
// morsel-localcache: the local cache of a worker, or of one agent. Its command
// line is described in localcache/server.h.
#include <fcntl.h>
#include <getopt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <limits>
#include <map>
#include <thread>

#include "base/clock.h"
#include "base/confine.h"
#include "base/log.h"
#include "localcache/arena_writer.h"
#include "localcache/server.h"
#include "origin/chunk_object.h"
#include "store/open_store.h"

namespace morsel {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct Words {
  std::string origin;
  std::string arena_path;
  uint64_t memory_bytes = 0;
  uint32_t origin_requests = 16;
  uid_t uid = 0;
  Fd client;
  Fd control;
  Fd arena;
};

Result<uint64_t> ParseNumber(const std::string& name, std::string_view text,
                             uint64_t most) {
  uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > most)
    return MakeError(Code::kInvalid, "--" + name + ": '" + std::string(text) +
                                         "' is no number from 0 to " +
                                         std::to_string(most));
  return value;
}

// Takes an inherited descriptor over.
Result<Fd> ParseFd(const std::string& name, std::string_view text) {
  ASSIGN_OR_RETURN(const uint64_t number, ParseNumber(name, text, 1 << 20));
  const int fd = static_cast<int>(number);
  if (fd <= STDERR_FILENO || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
    return MakeError(Code::kInvalid, "--" + name + ": " + std::string(text) +
                                         " is no open descriptor");
  return Fd(fd);
}

Status SetWord(Words& words, const std::string& name, const char* value) {
  constexpr uint64_t kMost32 = std::numeric_limits<int32_t>::max();
  if (name == "origin") {
    words.origin = value;
  } else if (name == "arena-path") {
    words.arena_path = value;
  } else if (name == "memory-bytes") {
    ASSIGN_OR_RETURN(words.memory_bytes,
                     ParseNumber(name, value, uint64_t{1} << 46));
  } else if (name == "origin-requests") {
    ASSIGN_OR_RETURN(const uint64_t count, ParseNumber(name, value, 1024));
    words.origin_requests = static_cast<uint32_t>(std::max(count, uint64_t{1}));
  } else if (name == "uid") {
    ASSIGN_OR_RETURN(const uint64_t uid, ParseNumber(name, value, kMost32));
    words.uid = static_cast<uid_t>(uid);
  } else if (name == "client-fd") {
    ASSIGN_OR_RETURN(words.client, ParseFd(name, value));
  } else if (name == "control-fd") {
    ASSIGN_OR_RETURN(words.control, ParseFd(name, value));
  } else {
    ASSIGN_OR_RETURN(words.arena, ParseFd(name, value));
  }
  return Ok();
}

Result<Words> ParseWords(int argc, char** argv) {
  constexpr std::array<const char*, 8> kNames{
      "origin", "arena-path", "memory-bytes", "origin-requests",
      "uid",    "client-fd",  "control-fd",   "arena-fd"};
  std::array<option, kNames.size() + 1> options{};
  for (size_t i = 0; i < kNames.size(); ++i)
    options[i] = {kNames[i], required_argument, nullptr, 0};
  Words words;
  int index = 0;
  int found = 0;
  while ((found = getopt_long(argc, argv, "", options.data(), &index)) == 0)
    RETURN_IF_ERROR(SetWord(words, kNames[static_cast<size_t>(index)], optarg));
  if (found != -1 || optind != argc)
    return MakeError(Code::kInvalid, "what is not an option is not known");
  if (words.origin.empty() || words.memory_bytes == 0)
    return MakeError(Code::kInvalid, "--origin and --memory-bytes are needed");
  if (!words.client && !words.control)
    return MakeError(Code::kInvalid,
                     "--client-fd or --control-fd is needed: nobody could ask");
  if (words.arena && !words.arena_path.empty())
    return MakeError(Code::kInvalid, "--arena-fd or --arena-path, not both");
  return words;
}

// A file of the daemon's user that nobody else may open.
Result<std::unique_ptr<ArenaWriter>> OpenArenaFile(const Fd& file,
                                                   const Words& words) {
  if (fchmod(file.get(), 0600) != 0) return ErrnoError(errno, "arena: fchmod");
  if (words.uid != 0 && fchown(file.get(), words.uid, words.uid) != 0)
    return ErrnoError(errno, "arena: fchown");
  return ArenaWriter::Open(file, words.memory_bytes);
}

Result<Fd> ArenaFile(const Words& words) {
  if (words.arena) return Duplicate(words.arena.get());
  if (words.arena_path.empty()) return MakeArenaFile();
  return OpenFile(words.arena_path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
}

// An arena of another size or layout is left to those who read it.
Result<std::unique_ptr<ArenaWriter>> OpenArena(const Words& words) {
  ASSIGN_OR_RETURN(Fd file, ArenaFile(words));
  auto arena = OpenArenaFile(file, words);
  if (arena.ok() || arena.error().code != Code::kExists) return arena;
  LogWarn("a new arena begins, empty",
          {{"cause", arena.error().message}, {"path", words.arena_path}});
  if (words.arena_path.empty()) {
    ASSIGN_OR_RETURN(file, MakeArenaFile());
  } else {
    if (unlink(words.arena_path.c_str()) != 0)
      return ErrnoError(errno, "unlink " + words.arena_path);
    ASSIGN_OR_RETURN(file, ArenaFile(words));
  }
  return OpenArenaFile(file, words);
}

// What the daemon does after it is confined, beside the common calls: it reads
// from the origin, grows the arena, and makes the rings of new clients.
Status ConfineDaemon(const Words& words, const ConfinableStore& origin) {
  ConfineOptions options;
  options.uid = words.uid;
  options.syscalls = origin.syscalls;
  for (const char* name : {"fallocate", "memfd_create", "ftruncate", "fcntl"})
    options.syscalls.emplace_back(name);
  return Confine(options);
}

// Stops the server at the first signal; a second one comes from Serve.
void WaitForSignal(const sigset_t& signals, LocalCacheServer& server) {
  int number = 0;
  while (sigwait(&signals, &number) != 0) continue;
  server.Stop();
}

Status Serve(Words words) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ASSIGN_OR_RETURN(const ConfinableStore store,
                   OpenConfinableStore(words.origin));
  ASSIGN_OR_RETURN(const auto arena, OpenArena(words));
  RETURN_IF_ERROR_AS(ConfineDaemon(words, store), "confine");
  const auto origin = MakeOriginChunkSource(*store.store);
  ServerOptions options;
  options.origin_requests = words.origin_requests;
  options.origin_verifies = true;
  std::vector<Fd> clients;
  if (words.client) clients.push_back(std::move(words.client));
  ASSIGN_OR_RETURN(
      const auto server,
      LocalCacheServer::Make(options, *arena, *origin, SystemClock(),
                             std::move(words.control), std::move(clients)));
  std::jthread waiter([&] { WaitForSignal(signals, *server); });
  const Status status = server->Run();
  pthread_kill(waiter.native_handle(), SIGTERM);
  waiter.join();
  return status;
}

int Main(int argc, char** argv) {
  InitLog("morsel-localcache", LogLevel::kInfo);
  Result<Words> words = ParseWords(argc, argv);
  if (!words.ok()) {
    std::fprintf(stderr, "morsel-localcache: %s\n",
                 words.error().message.c_str());
    return kUsage;
  }
  const Status status = Serve(std::move(words).value());
  if (status.ok()) return 0;
  LogError("the local cache cannot serve", {{"error", status.error().message}});
  return kFailed;
}

}  // namespace
}  // namespace morsel

int main(int argc, char** argv) { return morsel::Main(argc, argv); }
