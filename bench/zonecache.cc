// SPDX-License-Identifier: Apache-2.0
// The zone cache's striped client against servers that run already:
//
//   zonecache get|set ADDRESS SECONDS THREADS [KEYS]
//             stripes of 128 KiB, one server, which is given all of them before
//   zonecache chunks K R SECONDS THREADS ADDRESS,ADDRESS,...
//             [slow:N:MS | dead:N]              chunks of 512 KiB, all of them
//
// With KEYS they are given slowly, for a server that has to write them to
// flash. One line of JSON: operations, MB/s of those that hit, p50, p99 and
// p99.9 in µs, hits, and the µs of processor time an operation, of this program
// and of the servers whose process ids CPU_OF has. The nodes of `chunks` are
// reached through proxies only if one of them is to be slow or dead, and then
// all of them are, so that the proxy's own cost is in both.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>
#include <thread>

#include "base/log.h"
#include "crypto/hash.h"
#include "zonecache/exchange.h"
#include "zonecache/fault_proxy.h"
#include "zonecache/striped_source.h"

namespace morsel {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr size_t kStripe = 128 * kKiB;
constexpr uint32_t kKeys = 400;

struct Chunk {
  ChunkRef ref;
  Bytes bytes;
};

struct Load {
  double seconds = 1;
  int threads = 1;
  uint32_t keys = kKeys;
};

std::vector<std::string> Split(const std::string& text, char by) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, by);) parts.push_back(part);
  return parts;
}

// Microseconds of processor time that a process has taken, "self" for this one.
double CpuOf(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string text;
  std::getline(file, text);
  // Behind the name, which may hold anything: utime and stime are the 14th and
  // 15th field.
  std::istringstream in(text.substr(std::min(text.rfind(')'), text.size())));
  std::string skipped;
  for (int field = 2; field < 14; ++field) in >> skipped;
  double user = 0;
  double system = 0;
  in >> user >> system;
  return (user + system) * 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double CpuOfServers() {
  double sum = 0;
  const char* const pids = std::getenv("CPU_OF");
  if (pids == nullptr) return 0;
  for (const std::string& pid : Split(pids, ',')) sum += CpuOf(pid);
  return sum;
}

// Runs `work` (true: a hit) on all threads for so long, and prints.
template <typename MakeWork>
void Measure(const std::string& what, const Load& load, size_t bytes_each,
             const MakeWork& make_work) {
  std::vector<std::vector<double>> times(static_cast<size_t>(load.threads));
  std::atomic<uint64_t> hits{0};
  const double own_before = CpuOf("self");
  const double servers_before = CpuOfServers();
  const auto begin = SteadyClock::now();
  const auto end = begin + std::chrono::duration_cast<SteadyClock::duration>(
                               std::chrono::duration<double>(load.seconds));
  std::vector<std::jthread> threads;
  for (int t = 0; t < load.threads; ++t)
    threads.emplace_back([&, t] {
      auto work = make_work(t);
      std::mt19937 random(static_cast<unsigned>(t));
      while (SteadyClock::now() < end) {
        const auto from = SteadyClock::now();
        hits += work(static_cast<uint32_t>(random()) % load.keys) ? 1 : 0;
        const std::chrono::duration<double, std::micro> took =
            SteadyClock::now() - from;
        times[static_cast<size_t>(t)].push_back(took.count());
      }
    });
  threads.clear();
  const std::chrono::duration<double> took = SteadyClock::now() - begin;
  std::vector<double> all;
  for (const auto& each : times)
    all.insert(all.end(), each.begin(), each.end());
  std::sort(all.begin(), all.end());
  const auto count = static_cast<double>(all.size());
  const auto at = [&](double part) {
    return all[static_cast<size_t>(part * (count - 1))];
  };
  std::printf(
      "{\"what\": \"%s\", \"threads\": %d, \"operations\": %zu, \"hits\": "
      "%llu, "
      "\"mb_per_s\": %.0f, \"p50_us\": %.0f, \"p99_us\": %.0f, \"p999_us\": "
      "%.0f, \"client_cpu_us\": %.1f, \"server_cpu_us\": %.1f}\n",
      what.c_str(), load.threads, all.size(),
      static_cast<unsigned long long>(hits.load()),
      static_cast<double>(hits.load() * bytes_each) / took.count() / 1e6,
      at(0.5), at(0.99), at(0.999), (CpuOf("self") - own_before) / count,
      (CpuOfServers() - servers_before) / count);
  std::fflush(stdout);
}

Result<std::unique_ptr<Stream>> Plain(Fd socket, const std::string&) {
  return MakePlainStream(std::move(socket));
}

// One command with its answer.
Result<Reply> Ask(NodePool& pool,
                  std::initializer_list<std::string_view> text) {
  std::vector<iovec> parts;
  for (const std::string_view part : text)
    parts.push_back({const_cast<char*>(part.data()), part.size()});
  Exchange exchange(SystemClock());
  if (!exchange.Add(0, pool, std::move(parts)))
    return MakeError(Code::kUnavailable, "no connection");
  auto outcome = exchange.Next(SystemClock().Now() + std::chrono::seconds(5));
  if (!outcome) return MakeError(Code::kTimeout, "no answer");
  return std::move(outcome->reply);
}

// A server that cannot write to flash as fast as it is filled refuses for a
// while.
bool SetInTime(const std::function<bool(uint32_t)>& set, uint32_t key) {
  for (int i = 0; i < 200; ++i) {
    if (set(key)) return true;
    ::poll(nullptr, 0, 50);
  }
  return false;
}

int RunStripes(bool is_get, const std::string& address, const Load& load) {
  NodePool pool(address, {.max_connections = 64}, Plain, SystemClock());
  const std::string value(kStripe, 'v');
  const std::string size = std::to_string(kStripe);
  const auto set = [&](uint32_t key) {
    const auto reply =
        Ask(pool, {"set bench" + std::to_string(key) + " 0 0 " + size + "\r\n",
                   value, "\r\n"});
    return reply.ok() && reply->kind == Reply::Kind::kStored;
  };
  const auto get = [&](uint32_t key) {
    const auto reply = Ask(pool, {"gets bench" + std::to_string(key) + "\r\n"});
    return reply.ok() && reply->value.size() == kStripe;
  };
  for (uint32_t key = 0; key < load.keys; ++key) {
    if (!SetInTime(set, key)) return 1;
    if (load.keys != kKeys) ::poll(nullptr, 0, 2);
  }
  Measure(is_get ? "get 128 KiB" : "set 128 KiB", load, kStripe, [&](int) {
    return [&](uint32_t key) { return is_get ? get(key) : set(key); };
  });
  return 0;
}

std::vector<Chunk> MakeChunks() {
  std::vector<Chunk> chunks(kKeys);
  std::mt19937_64 random(1);
  for (Chunk& chunk : chunks) {
    chunk.bytes.resize(kChunkSize);
    for (size_t i = 0; i < chunk.bytes.size(); i += sizeof(uint64_t))
      StoreLe<uint64_t>(&chunk.bytes[i], random());
    chunk.ref = {ChunkName(Sha256Of(chunk.bytes)), "bench", kChunkSize};
  }
  return chunks;
}

int RunChunks(uint32_t k, uint32_t r, const Load& load,
              const std::string& addresses, const std::string& fault) {
  std::vector<std::unique_ptr<FaultProxy>> proxies;
  std::vector<NodeSpec> nodes;
  for (const std::string& address : Split(addresses, ',')) {
    if (fault.empty()) {
      nodes.push_back({address, 1});
      continue;
    }
    proxies.push_back(FaultProxy::Start(address).value());
    nodes.push_back({proxies.back()->address(), 1});
  }
  StripedOptions options;
  options.k = k;
  options.r = r;
  options.put_queue = kKeys;
  options.timeout = std::chrono::seconds(5);
  auto source = StripedSource::Make(options, nullptr, SystemClock());
  if (!source.ok()) return 2;
  (*source)->SetNodes(nodes);
  const std::vector<Chunk> chunks = MakeChunks();
  for (const Chunk& chunk : chunks) (*source)->Offer(chunk.ref, chunk.bytes);
  (*source)->Flush();
  const std::vector<std::string> words = Split(fault, ':');
  if (words.size() >= 2) {
    FaultProxy& proxy = *proxies.at(std::stoul(words[1]));
    if (words[0] == "dead") proxy.Refuse(true);
    if (words[0] == "slow")
      proxy.Delay(std::chrono::milliseconds(std::stoi(words.at(2))));
  }
  const std::string what = "chunks " + std::to_string(k) + "+" +
                           std::to_string(r) +
                           (fault.empty() ? "" : " " + fault);
  Measure(what, load, kChunkSize, [&](int) {
    return [&](uint32_t key) {
      const ChunkRef& ref = chunks[key].ref;
      const Want want{.deadline = SystemClock().Now() + std::chrono::minutes(1),
                      .length = ref.stored_length};
      return (*source)->Get(ref, want).ok();
    };
  });
  return 0;
}

}  // namespace
}  // namespace morsel

int main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  morsel::InitLog("bench", morsel::LogLevel::kError);
  if ((verb == "get" || verb == "set") && (argc == 5 || argc == 6))
    return morsel::RunStripes(
        verb == "get", argv[2],
        {std::atof(argv[3]), std::atoi(argv[4]),
         argc == 6 ? static_cast<uint32_t>(std::atoi(argv[5]))
                   : morsel::kKeys});
  if (verb == "chunks" && argc >= 7)
    return morsel::RunChunks(static_cast<uint32_t>(std::atoi(argv[2])),
                             static_cast<uint32_t>(std::atoi(argv[3])),
                             {std::atof(argv[4]), std::atoi(argv[5])}, argv[6],
                             argc > 7 ? argv[7] : "");
  std::fputs("usage: see the head of bench/zonecache.cc\n", stderr);
  return 2;
}
