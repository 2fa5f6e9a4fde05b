// SPDX-License-Identifier: Apache-2.0
#include "zonecache/stripe_writer.h"

#include "zonecache/ring.h"
#include "zonecache/stripe.h"

namespace morsel {
namespace {

// One storage command in its parts.
struct Command {
  std::string line;
  StripeHeader header{};
  ByteSpan payload;
};

constexpr std::string_view kEnd = "\r\n";

Command MakeCommand(const ErasureCode& code, const ChunkRef& ref,
                    uint32_t round, const StripePut& put, ByteSpan payload) {
  Command command;
  command.line = (put.cas ? "cas " : "add ") +
                 StripeKey(ref.name, code.k(), code.r(), round) + " 0 0 " +
                 std::to_string(kStripeHeaderSize + payload.size());
  if (put.cas) command.line += " " + std::to_string(*put.cas);
  command.line += kEnd;
  command.header =
      MakeStripeHeader(ref.name, put.index, ref.stored_length, payload);
  command.payload = payload;
  return command;
}

iovec PartOf(const void* data, size_t size) {
  return {const_cast<void*>(data), size};
}

std::vector<iovec> PartsOf(const Command& command) {
  return {PartOf(command.line.data(), command.line.size()),
          PartOf(command.header.data(), command.header.size()),
          PartOf(command.payload.data(), command.payload.size()),
          PartOf(kEnd.data(), kEnd.size())};
}

}  // namespace

StripeWriter::StripeWriter(const ErasureCode& code, uint32_t queue_limit,
                           std::chrono::milliseconds timeout, Clock& clock)
    : code_(code),
      queue_limit_(queue_limit),
      timeout_(timeout),
      clock_(clock) {}

StripeWriter::~StripeWriter() {
  std::jthread thread;
  {
    const MutexLock lock(mutex_);
    stop_ = true;
    queue_.clear();
    thread = std::move(thread_);
  }
  changed_.NotifyAll();
}

bool StripeWriter::HasRoom() {
  const MutexLock lock(mutex_);
  if (queue_.size() < queue_limit_) return true;
  ++dropped_;
  return false;
}

void StripeWriter::Queue(Job job) {
  {
    const MutexLock lock(mutex_);
    if (queue_.size() >= queue_limit_) {
      ++dropped_;
      return;
    }
    ++queued_;
    queue_.push_back(std::move(job));
    if (!thread_.joinable()) thread_ = std::jthread([this] { Work(); });
  }
  changed_.NotifyAll();
}

void StripeWriter::Flush() {
  const MutexLock lock(mutex_);
  while (!queue_.empty() || busy_) changed_.Wait(mutex_);
}

StripeWriterStats StripeWriter::Stats() const {
  const MutexLock lock(mutex_);
  return {queued_, dropped_, added_, repaired_, failures_};
}

void StripeWriter::Work() {
  while (true) {
    Job job;
    {
      const MutexLock lock(mutex_);
      busy_ = false;
      changed_.NotifyAll();
      while (queue_.empty() && !stop_) changed_.Wait(mutex_);
      if (stop_) return;
      job = std::move(queue_.front());
      queue_.pop_front();
      busy_ = true;
    }
    Put(job);
  }
}

void StripeWriter::Put(const Job& job) {
  const Bytes stripes = code_.Encode(job.chunk);
  const size_t length = code_.StripeLength(job.chunk.size());
  std::vector<Command> commands;
  commands.reserve(job.puts.size());
  Exchange exchange(clock_);
  for (size_t i = 0; i < job.puts.size(); ++i) {
    const StripePut& put = job.puts[i];
    commands.push_back(
        MakeCommand(code_, job.ref, job.places.rounds[put.place], put,
                    ByteSpan(stripes).subspan(put.index * length, length)));
    if (!exchange.Add(static_cast<uint32_t>(i), *job.places.pools[put.place],
                      PartsOf(commands.back())))
      ++failures_;
  }
  const Deadline deadline = clock_.Now() + timeout_;
  while (const auto outcome = exchange.Next(deadline))
    Count(job.puts[outcome->place], outcome->reply);
  failures_ += exchange.pending();
}

void StripeWriter::Count(const StripePut& put, const Result<Reply>& reply) {
  if (!reply.ok() || reply->kind == Reply::Kind::kError) {
    ++failures_;
  } else if (reply->kind == Reply::Kind::kStored) {
    ++(put.cas ? repaired_ : added_);
  }
  // Else another worker was there first.
}

}  // namespace morsel
