// SPDX-License-Identifier: Apache-2.0
#include "localcache/protocol.h"

#include <gtest/gtest.h>

#include <random>

#include "localcache/test_chunks.h"

namespace morsel {
namespace {

GetMessage SomeGet() {
  return {77, MakeTestChunk(1).ref, Urgency::kPrefetch, true, false, 1234};
}

TEST(Protocol, MessagesComeBackAsTheyWere) {
  const auto client = ParseClientMessage(Encode(SomeGet()));
  ASSERT_TRUE(client.ok());
  const auto& get = std::get<GetMessage>(*client);
  EXPECT_EQ(get.id, 77u);
  EXPECT_EQ(get.ref.name, SomeGet().ref.name);
  EXPECT_EQ(get.ref.root, "r1");
  EXPECT_EQ(get.ref.stored_length, SomeGet().ref.stored_length);
  EXPECT_EQ(get.urgency, Urgency::kPrefetch);
  EXPECT_TRUE(get.owned);
  EXPECT_FALSE(get.suspect);
  EXPECT_EQ(get.deadline_ms, 1234u);
  EXPECT_TRUE(ParseClientMessage(Encode(HelloMessage{})).ok());
  EXPECT_TRUE(ParseDaemonMessage(Encode(WelcomeMessage{})).ok());

  for (int code = 0; code <= static_cast<int>(Code::kInternal); ++code) {
    const DoneMessage sent{
        5, MakeError(static_cast<Code>(code), std::string(2000, 'x')), false};
    const Bytes packet = Encode(sent);
    const auto daemon = ParseDaemonMessage(packet);
    ASSERT_TRUE(daemon.ok());
    const auto& done = std::get<DoneMessage>(*daemon);
    EXPECT_EQ(done.error->code, sent.error->code);
    EXPECT_EQ(done.error->message.size(), kMaxErrorText);
  }
  const AdmitMessage admit{kLocalCacheVersion,   true, 4321, "d-17",
                           std::string(64, 'a'), "r1"};
  const auto parsed = ParseClientMessage(Encode(admit));
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(std::get<AdmitMessage>(*parsed).starting);
  EXPECT_EQ(std::get<AdmitMessage>(*parsed).age_ms, 4321u);
  EXPECT_EQ(std::get<AdmitMessage>(*parsed).device, "d-17");
  EXPECT_EQ(std::get<AdmitMessage>(*parsed).manifest_id, std::string(64, 'a'));
  EXPECT_EQ(std::get<AdmitMessage>(*parsed).root, "r1");
  const auto verdict = ParseDaemonMessage(Encode(
      VerdictMessage{kLocalCacheVersion, MakeError(Code::kExhausted, "no")}));
  ASSERT_TRUE(verdict.ok());
  EXPECT_EQ(std::get<VerdictMessage>(*verdict).error->message, "no");
  const auto report =
      ParseDaemonMessage(Encode(ReportMessage{kLocalCacheVersion, "{}"}));
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(std::get<ReportMessage>(*report).json, "{}");
  const Bytes bytes(kPartBytes, std::byte{9});
  const Bytes packet = Encode(PartMessage{3, kPartBytes, bytes});
  EXPECT_LE(packet.size(), kMaxPacket);
  const auto part = ParseDaemonMessage(packet);
  ASSERT_TRUE(part.ok());
  EXPECT_EQ(CopyBytes(std::get<PartMessage>(*part).bytes), bytes);
}

TEST(Protocol, RefusesEveryTruncationAndExcess) {
  for (const Bytes& whole :
       {Encode(SomeGet()), Encode(HelloMessage{}), Encode(StatMessage{}),
        Encode(AdmitMessage{kLocalCacheVersion, true, 1, "device"}),
        Encode(AdmitMessage{kLocalCacheVersion, false, 1, "device",
                            std::string(64, 'a'), "r1"})}) {
    for (size_t length = 0; length < whole.size(); ++length)
      EXPECT_EQ(ParseClientMessage(ByteSpan(whole).first(length)).error().code,
                Code::kInvalid);
    Bytes longer = whole;
    longer.push_back(std::byte{0});
    EXPECT_FALSE(ParseClientMessage(longer).ok());
  }
  for (const Bytes& done :
       {Encode(DoneMessage{1, std::nullopt, true}),
        Encode(VerdictMessage{kLocalCacheVersion, std::nullopt})})
    for (size_t length = 0; length < done.size(); ++length)
      EXPECT_FALSE(ParseDaemonMessage(ByteSpan(done).first(length)).ok());
}

TEST(Protocol, RefusesFieldsOutOfRange) {
  for (const uint32_t length :
       {0u, 1u, kPageSize + 1, kChunkSize + kPageSize}) {
    GetMessage get = SomeGet();
    get.ref.stored_length = length;
    EXPECT_FALSE(ParseClientMessage(Encode(get)).ok()) << length;
  }
  for (const char* root : {"", ".", "..", ".x", "a/b", "a b", "\xff"})
    EXPECT_FALSE(IsRootName(root)) << root;
  EXPECT_FALSE(IsRootName(std::string(kMaxRootLength + 1, 'a')));
  EXPECT_TRUE(IsRootName("r-0123.4_x"));
  const Bytes bytes(kPageSize);
  EXPECT_FALSE(
      ParseDaemonMessage(Encode(PartMessage{1, kChunkSize, bytes})).ok());
}

TEST(Protocol, SurvivesRandomPackets) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const Bytes good = Encode(SomeGet());
  for (int i = 0; i < 50000; ++i) {
    Bytes packet = good;
    packet.resize(random() % (good.size() + 8));
    for (int flips = 0; flips < 3 && !packet.empty(); ++flips)
      packet[random() % packet.size()] ^= static_cast<std::byte>(random());
    if (const auto parsed = ParseClientMessage(packet); parsed.ok()) {
      if (const auto* get = std::get_if<GetMessage>(&*parsed)) {
        EXPECT_TRUE(IsRootName(get->ref.root));
      }
    }
    (void)ParseDaemonMessage(packet);
  }
}

}  // namespace
}  // namespace morsel
