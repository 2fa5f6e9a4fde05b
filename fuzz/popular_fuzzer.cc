// SPDX-License-Identifier: Apache-2.0
// Any bytes as a list of popular chunks: what is accepted is sorted and gives
// the same bytes again.
#include "base/check.h"
#include "origin/popular.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace morsel;
  const std::string_view text = AsText(std::as_bytes(std::span(data, size)));
  const Result<PopularList> list = DecodePopular(text);
  if (!list.ok()) {
    CHECK(list.error().code == Code::kCorrupt);
    return 0;
  }
  CHECK(list->version > 0 && list->variants > 0);
  for (size_t i = 1; i < list->names.size(); ++i)
    CHECK(list->names[i - 1] < list->names[i]);
  CHECK(DecodePopular(EncodePopular(*list)).ok());
  return 0;
}
