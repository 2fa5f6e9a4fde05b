// SPDX-License-Identifier: Apache-2.0
#include "zonecache/reply_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

namespace morsel {
namespace {

using Kind = Reply::Kind;

// Gives `text` to the reader in pieces of at most `piece` bytes.
Status Feed(ReplyReader& reader, std::string_view text, size_t piece) {
  while (!text.empty()) {
    size_t given = 0;
    for (const iovec& part : reader.Room()) {
      const size_t count = std::min({part.iov_len, text.size(), piece - given});
      if (count > 0) std::memcpy(part.iov_base, text.data(), count);
      text.remove_prefix(count);
      given += count;
    }
    RETURN_IF_ERROR(reader.Advance(given));
  }
  return Ok();
}

std::string ValueReply(const std::string& value, uint64_t cas) {
  return "VALUE key 0 " + std::to_string(value.size()) + " " +
         std::to_string(cas) + "\r\n" + value + "\r\nEND\r\n";
}

TEST(ReplyReaderTest, ReadsEveryReplyHoweverItIsCut) {
  const std::string value = "one\r\nEND\r\ntwo" + std::string(9000, 'x');
  const std::string text =
      ValueReply(value, 7) + "END\r\nSTORED\r\nNOT_STORED\r\nEXISTS\r\n" +
      "NOT_FOUND\r\nSERVER_ERROR out of memory\r\nERROR\r\n" +
      ValueReply("", 8);
  for (const size_t piece : {1U, 2U, 3U, 7U, 100U, 5000U, 1U << 20}) {
    ReplyReader reader;
    ASSERT_TRUE(Feed(reader, text, piece).ok());
    const Reply first = reader.Take().value();
    EXPECT_EQ(first.kind, Kind::kValue);
    EXPECT_EQ(AsText(first.value), value);
    EXPECT_EQ(first.cas, 7U);
    for (const Kind kind :
         {Kind::kMiss, Kind::kStored, Kind::kNotStored, Kind::kExists,
          Kind::kNotFound, Kind::kError, Kind::kError, Kind::kValue})
      EXPECT_EQ(reader.Take().value().kind, kind);
    EXPECT_FALSE(reader.Take().has_value());
  }
}

TEST(ReplyReaderTest, WhatIsNoReplyIsCorrupt) {
  for (const std::string& text :
       {std::string("HTTP/1.1 200 OK\r\n"), std::string("VALUE key 0 5\r\n"),
        std::string("VALUE key 0 99999999 1\r\n"),
        std::string("VALUE key 0 -1 1\r\n"), std::string("\r\n"),
        std::string("VALUE key 0 1 1\r\nxx\r\nEND\r\n"),
        std::string("VALUE k 0 1 1\r\nx\r\nVALUE k 0 1 1\r\n"),
        std::string(600, 'x')}) {
    ReplyReader reader;
    const Status status = Feed(reader, text, 1);
    ASSERT_FALSE(status.ok()) << text.substr(0, 30);
    EXPECT_EQ(status.error().code, Code::kCorrupt);
  }
}

TEST(ReplyReaderTest, RandomBytesNeverBreakIt) {
  const auto seed =
      static_cast<uint64_t>(testing::UnitTest::GetInstance()->random_seed());
  std::mt19937_64 random(seed);
  const std::string words[] = {"VALUE k 0 ", "3 4", "END", "\r\n", "STORED",
                               "x",          " ",   "\n",  "\r",   "abc"};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 20; ++i) text += words[random() % std::size(words)];
    ReplyReader reader;
    (void)Feed(reader, text, 1 + random() % 9);
    while (reader.Take()) continue;
  }
}

}  // namespace
}  // namespace morsel
