// SPDX-License-Identifier: Apache-2.0
#include "origin/image_name.h"

#include <gtest/gtest.h>

#include <random>

#include "store/object_store.h"

namespace morsel {
namespace {

const std::string kId(64, 'a');

TEST(ImageName, TakesRepositoryTagAndManifestApart) {
  struct Case {
    std::string text, repository, tag, id;
  };
  const Case cases[] = {
      {"python", "python", "latest", ""},
      {"python:3.11", "python", "3.11", ""},
      {"library/python:3", "library/python", "3", ""},
      {"localhost/app", "localhost/app", "latest", ""},
      {"localhost:5000/app", "localhost:5000/app", "latest", ""},
      {"localhost:5000/a/b:T_1.x-", "localhost:5000/a/b", "T_1.x-", ""},
      {"localhost:5000", "localhost", "5000", ""},
      {"registry.example.org/a__b/c-d/e--f.g:x",
       "registry.example.org/a__b/c-d/e--f.g", "x", ""},
      {"python@" + kId, "python", "latest", kId},
      {"python:3@" + kId, "python", "3", kId},
      {"a.b", "a.b", "latest", ""},
  };
  for (const Case& c : cases) {
    const Result<ImageName> name = ImageName::Parse(c.text);
    ASSERT_TRUE(name.ok()) << c.text << ": " << name.error().message;
    EXPECT_EQ(*name, (ImageName{c.repository, c.tag, c.id})) << c.text;
    EXPECT_EQ(*ImageName::Parse(name->ToString()), *name) << c.text;
  }
  EXPECT_EQ(ImageName::Parse("python@" + kId)->ToString(), "python@" + kId);
}

TEST(ImageName, RefusesWhatIsNoName) {
  const std::string bad[] = {"",
                             ":",
                             "@",
                             ":tag",
                             "@" + kId,
                             "/",
                             "/a",
                             "a/",
                             "a//b",
                             "..",
                             "../a",
                             "a/../b",
                             "a/.",
                             ".a",
                             "a.",
                             "-a",
                             "a-",
                             "a..b",
                             "a___b",
                             "a._b",
                             "A",
                             "a/B",
                             "Host.org/a",
                             "host.org:/a",
                             "host.org:x/a",
                             "host.org:123456/a",
                             "-h.org/a",
                             "h..org/a",
                             "a b",
                             "a\n",
                             "caf\xc3\xa9",
                             "a:",
                             "a:.x",
                             "a:-x",
                             "a:b c",
                             "a:b/c:",
                             "a:" + std::string(129, 'x'),
                             "a@",
                             "a@sha256:" + kId,
                             "a@" + std::string(64, 'A'),
                             "a@" + std::string(63, 'a'),
                             "a@" + kId + "@" + kId,
                             std::string(256, 'a'),
                             "a:b@" + kId + "x",
                             std::string("a\0b", 3),
                             "dir:/x",
                             "s3://x"};
  for (const std::string& text : bad) {
    const Result<ImageName> name = ImageName::Parse(text);
    ASSERT_FALSE(name.ok()) << text;
    EXPECT_EQ(name.error().code, Code::kInvalid);
  }
}

TEST(ImageName, WhateverIsAcceptedIsAKeyAndComesBackTheSame) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  constexpr std::string_view kLetters = "ab0.:/@_-A \n\xff~";
  size_t accepted = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    for (size_t length = random() % 12; length > 0; --length)
      text += kLetters[random() % kLetters.size()];
    const Result<ImageName> name = ImageName::Parse(text);
    if (!name.ok()) continue;
    ++accepted;
    EXPECT_TRUE(
        CheckKey("images/" + name->repository + "/" + name->tag + ".json").ok())
        << text;
    EXPECT_EQ(*ImageName::Parse(name->ToString()), *name) << text;
  }
  EXPECT_GT(accepted, 100u);
}

}  // namespace
}  // namespace morsel
