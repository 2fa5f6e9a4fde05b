// SPDX-License-Identifier: Apache-2.0
#include "zonecache/memcache_session.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>

namespace morsel {
namespace {

class ManualClock final : public Clock {
 public:
  std::chrono::steady_clock::time_point Now() override { return {}; }
  int64_t UnixSeconds() override { return now; }
  int64_t now = 1'700'000'000;
};

class MemcacheSessionTest : public testing::Test {
 protected:
  // What comes back for `text`, given in pieces of at most `piece` bytes.
  std::string Ask(std::string_view text, size_t piece = 1 << 20) {
    std::string answer;
    while (!text.empty() && session_.wants_input()) {
      size_t given = 0;
      for (const iovec& part : session_.Room()) {
        const size_t count =
            std::min({part.iov_len, text.size(), piece - given});
        if (count > 0) std::memcpy(part.iov_base, text.data(), count);
        text.remove_prefix(count);
        given += count;
      }
      session_.Advance(given);
      while (session_.unsent() > 0) Drain(answer);
    }
    return answer;
  }

  void Drain(std::string& answer) {
    std::array<iovec, 3> parts;
    const size_t count = session_.Gather(parts);
    size_t sent = 0;
    for (size_t i = 0; i < count; ++i) {
      answer.append(static_cast<const char*>(parts[i].iov_base),
                    parts[i].iov_len);
      sent += parts[i].iov_len;
    }
    session_.Sent(sent);
  }

  ManualClock clock_;
  std::unique_ptr<TieredCache> cache_ =
      TieredCache::Make({.memory = {.max_bytes = 16 * kMiB}}, clock_).value();
  NodeStats stats_;
  NodeParts node_{*cache_, stats_, clock_};
  MemcacheSession session_{node_};
};

TEST_F(MemcacheSessionTest, TextCommandsAnswerAsMemcachedDoes) {
  const std::pair<const char*, const char*> kTalk[] = {
      {"get a\r\n", "END\r\n"},
      {"set a 7 0 3\r\nabc\r\n", "STORED\r\n"},
      {"get a b\r\n", "VALUE a 7 3\r\nabc\r\nEND\r\n"},
      {"add a 0 0 1\r\nx\r\n", "NOT_STORED\r\n"},
      {"replace b 0 0 1\r\nx\r\n", "NOT_STORED\r\n"},
      {"append a 0 0 2\r\nde\r\n", "STORED\r\n"},
      {"prepend a 0 0 1\r\n_\r\n", "STORED\r\n"},
      {"get a\r\n", "VALUE a 7 6\r\n_abcde\r\nEND\r\n"},
      {"append b 0 0 1\r\nx\r\n", "NOT_STORED\r\n"},
      {"incr a 1\r\n",
       "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"},
      {"set n 0 0 2 noreply\r\n10\r\nincr n 5\r\n", "15\r\n"},
      {"decr n 20\r\n", "0\r\n"},
      {"decr n 18446744073709551615\r\n", "0\r\n"},
      {"incr n 18446744073709551615\r\nincr n 2\r\n",
       "18446744073709551615\r\n1\r\n"},
      {"incr m 1\r\n", "NOT_FOUND\r\n"},
      {"incr n -1\r\n", "CLIENT_ERROR invalid numeric delta argument\r\n"},
      {"touch n 100\r\n", "TOUCHED\r\n"},
      {"touch m 100\r\n", "NOT_FOUND\r\n"},
      {"gat 0 n\r\n", "VALUE n 0 1\r\n1\r\nEND\r\n"},
      {"delete n\r\n", "DELETED\r\n"},
      {"delete n\r\n", "NOT_FOUND\r\n"},
      {"set e 0 0 0\r\n\r\nget e\r\n", "STORED\r\nVALUE e 0 0\r\n\r\nEND\r\n"},
      {"verbosity 1\r\n", "OK\r\n"},
      {"flush_all\r\nget a\r\n", "OK\r\nEND\r\n"},
      {"version x y\r\n", "VERSION 1.6.18-morsel\r\n"},
      {"stats noreply\r\n", "ERROR\r\n"},
      {"get\r\n", "ERROR\r\n"},
      {"hello\r\n", "ERROR\r\n"},
      {"\r\n", "ERROR\r\n"},
      {"set a x 0 1\r\nx\r\nversion\r\n",
       "CLIENT_ERROR bad command line format\r\nVERSION 1.6.18-morsel\r\n"},
      {"set a 0 0 1\r\nxy\n", "CLIENT_ERROR bad data chunk\r\n"},
      {"set a 0 0 -1\r\n", "CLIENT_ERROR bad data chunk\r\n"},
  };
  for (const auto& [question, answer] : kTalk)
    EXPECT_EQ(Ask(question), answer) << question;
}

TEST_F(MemcacheSessionTest, ATokenOfCasIsGoodForOneChange) {
  Ask("set a 0 0 1\r\nx\r\n");
  const std::string head = Ask("gets a\r\n");
  const std::string token = head.substr(12, head.find("\r\n") - 12);
  EXPECT_EQ(Ask("cas a 0 0 1 " + token + "\r\ny\r\n"), "STORED\r\n");
  EXPECT_EQ(Ask("cas a 0 0 1 " + token + "\r\nz\r\n"), "EXISTS\r\n");
  EXPECT_EQ(Ask("cas b 0 0 1 " + token + "\r\nz\r\n"), "NOT_FOUND\r\n");
  EXPECT_EQ(Ask("get a\r\n"), "VALUE a 0 1\r\ny\r\nEND\r\n");
}

TEST_F(MemcacheSessionTest, MetaCommandsAnswerAsMemcachedDoes) {
  const std::pair<const char*, const char*> kTalk[] = {
      {"mg a\r\n", "EN\r\n"},
      {"mg a v q\r\nmn\r\n", "MN\r\n"},
      {"ms a 3 T90 F5\r\nabc\r\n", "HD\r\n"},
      {"ms a S3\r\n", "CLIENT_ERROR bad data chunk\r\n"},
      {"mg a\r\n", "HD\r\n"},
      {"mg a s v f t k Oxy\r\n", "VA 3 s3 f5 t90 ka Oxy\r\nabc\r\n"},
      {"mg a t T0\r\nmg a t\r\n", "HD t-1\r\nHD t-1\r\n"},
      {"ms a 1 ME\r\nx\r\n", "NS\r\n"},
      {"ms b 1 MR\r\nx\r\n", "NS\r\n"},
      {"ms a 1 MA\r\nx\r\nms a 1 MP\r\ny\r\n", "HD\r\nHD\r\n"},
      {"mg a v\r\n", "VA 5\r\nyabcx\r\n"},
      {"ms a 1 C1\r\nx\r\n", "EX\r\n"},
      {"ms b 1 C1 k\r\nx\r\n", "NF kb\r\n"},
      {"ms q 2 q\r\n10\r\nma q v\r\n", "VA 2\r\n11\r\n"},
      {"ma q MD D3 v\r\n", "VA 1\r\n8\r\n"},
      {"ma z\r\n", "NF\r\n"},
      {"md a C1\r\n", "EX\r\n"},
      {"md a q\r\nmd a\r\n", "NF\r\n"},
      {"mg q h\r\n", "CLIENT_ERROR invalid flag\r\n"},
      {"me none\r\n", "EN\r\n"},
  };
  for (const auto& [question, answer] : kTalk)
    EXPECT_EQ(Ask(question), answer) << question;
}

TEST_F(MemcacheSessionTest, RequestsAreReadHoweverTheyAreCut) {
  const std::string value(70'000, 'v');
  const std::string talk = "set big 1 0 70000\r\n" + value +
                           "\r\nget big\r\nset s 0 0 2\r\nhi\r\nget s\n";
  const std::string answer =
      "STORED\r\nVALUE big 1 70000\r\n" + value +
      "\r\nEND\r\nSTORED\r\nVALUE s 0 2\r\nhi\r\nEND\r\n";
  for (const size_t piece : {1U, 2U, 3U, 11U, 4096U, 1U << 20})
    EXPECT_TRUE(Ask(talk, piece) == answer) << piece;
}

TEST_F(MemcacheSessionTest, ItemsEndAtTheirTime) {
  Ask("set a 0 10 1\r\nx\r\nset b 0 -1 1\r\nx\r\nset c 0 1700000005 "
      "1\r\nx\r\n");
  EXPECT_EQ(Ask("get b\r\n"), "END\r\n");
  EXPECT_EQ(Ask("get a c\r\n"),
            "VALUE a 0 1\r\nx\r\nVALUE c 0 1\r\nx\r\nEND\r\n");
  clock_.now += 5;
  EXPECT_EQ(Ask("get a c\r\n"), "VALUE a 0 1\r\nx\r\nEND\r\n");
  clock_.now += 5;
  EXPECT_EQ(Ask("get a c\r\n"), "END\r\n");
}

TEST_F(MemcacheSessionTest, FlushAllWithADelayWaitsForItsTime) {
  Ask("set a 0 0 1\r\nx\r\nflush_all 10\r\n");
  EXPECT_EQ(Ask("get a\r\n"), "VALUE a 0 1\r\nx\r\nEND\r\n");
  clock_.now += 10;
  EXPECT_EQ(Ask("get a\r\n"), "END\r\n");
}

TEST_F(MemcacheSessionTest, ValuesOfOneMebibyteFitAndLargerOnesAreSwallowed) {
  const std::string mebibyte(kMiB, 'm');
  EXPECT_EQ(Ask("set a 0 0 1048576\r\n" + mebibyte + "\r\n"), "STORED\r\n");
  EXPECT_EQ(Ask("set a 0 0 1048577\r\n" + mebibyte + "x\r\nmn\r\n"),
            "SERVER_ERROR object too large for cache\r\nMN\r\n");
}

TEST_F(MemcacheSessionTest, OnlyTheOperatorDeletes) {
  Ask("set a 0 0 1\r\nx\r\n");
  session_.SetOperator(false);
  for (const char* request : {"delete a\r\n", "flush_all\r\n", "md a\r\n"})
    EXPECT_EQ(Ask(request),
              "CLIENT_ERROR denied: this wants the operator's certificate\r\n");
  EXPECT_EQ(Ask("get a\r\n"), "VALUE a 0 1\r\nx\r\nEND\r\n");
  EXPECT_EQ(stats_.denied, 3U);
}

TEST_F(MemcacheSessionTest, WhoDoesNotReadIsNotServedFurther) {
  const std::string value(kMiB / 2, 'v');
  Ask("set a 0 0 524288\r\n" + value + "\r\n");
  std::string many = "get";
  for (int i = 0; i < 1000; ++i) many += " a";
  many += "\r\nmn\r\n";
  const auto room = session_.Room();
  std::memcpy(room[1].iov_base, many.data(), many.size());
  session_.Advance(many.size());
  EXPECT_FALSE(session_.wants_input());
  EXPECT_LT(session_.unsent(), 2 * MemcacheSession::kMaxUnsent);
  std::string answer;
  while (session_.unsent() > 0) {
    Drain(answer);
    EXPECT_LT(session_.unsent(), 2 * MemcacheSession::kMaxUnsent);
    if (answer.size() > 8 * kMiB) answer.erase(0, answer.size() - 20);
  }
  EXPECT_TRUE(answer.ends_with("END\r\nMN\r\n"));
}

TEST_F(MemcacheSessionTest, ALineWithoutEndClosesTheConnection) {
  const std::string answer = Ask(std::string(100'000, 'x'));
  EXPECT_EQ(answer, "CLIENT_ERROR line too long\r\n");
  EXPECT_TRUE(session_.closing());
}

TEST_F(MemcacheSessionTest, QuitCloses) {
  EXPECT_EQ(Ask("mn\r\nquit\r\nmn\r\n"), "MN\r\n");
  EXPECT_TRUE(session_.closing());
}

TEST_F(MemcacheSessionTest, StatsNameTheirFigures) {
  Ask("set a 0 0 1\r\nx\r\nget a\r\nget b\r\n");
  const std::string stats = Ask("stats\r\n");
  for (const char* line : {"STAT get_hits 1\r\n", "STAT get_misses 1\r\n",
                           "STAT curr_items 1\r\n", "STAT cmd_set 1\r\n"})
    EXPECT_NE(stats.find(line), std::string::npos) << line << stats;
  EXPECT_TRUE(stats.ends_with("END\r\n"));
  EXPECT_EQ(Ask("stats settings\r\n"), "END\r\n");
}

// The slow model: a map. Random commands on few keys, cut anywhere.
TEST_F(MemcacheSessionTest, RandomCommandsAnswerAsTheModel) {
  const auto seed =
      static_cast<uint64_t>(testing::UnitTest::GetInstance()->random_seed());
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::map<std::string, std::string> model;
  for (int round = 0; round < 3000; ++round) {
    const std::string key = "k" + std::to_string(random() % 5);
    const std::string value(random() % 3000,
                            static_cast<char>('a' + round % 26));
    const std::string tail = " " + key + " 0 0 " +
                             std::to_string(value.size()) + "\r\n" + value +
                             "\r\n";
    const bool there = model.count(key) > 0;
    std::string question;
    std::string answer;
    switch (random() % 6) {
      case 0:
        question = "set" + tail;
        answer = "STORED\r\n";
        model[key] = value;
        break;
      case 1:
        question = "add" + tail;
        answer = there ? "NOT_STORED\r\n" : "STORED\r\n";
        model.emplace(key, value);
        break;
      case 2:
        question = "append" + tail;
        answer = there ? "STORED\r\n" : "NOT_STORED\r\n";
        if (there && model[key].size() + value.size() > kMiB)
          answer = "SERVER_ERROR object too large for cache\r\n";
        else if (there)
          model[key] += value;
        break;
      case 3:
        question = "delete " + key + "\r\n";
        answer = there ? "DELETED\r\n" : "NOT_FOUND\r\n";
        model.erase(key);
        break;
      default:
        question = "get " + key + "\r\n";
        if (there)
          answer = "VALUE " + key + " 0 " + std::to_string(model[key].size()) +
                   "\r\n" + model[key] + "\r\n";
        answer += "END\r\n";
    }
    ASSERT_TRUE(Ask(question, 1 + random() % 5000) == answer)
        << round << ": " << question.substr(0, 40);
  }
}

}  // namespace
}  // namespace morsel
