// SPDX-License-Identifier: Apache-2.0
#include "origin/chunk_object.h"

#include "crypto/hash.h"

namespace morsel {
namespace {

class OriginChunkSource final : public ChunkSource {
 public:
  OriginChunkSource(ObjectStore& store, Clock& clock)
      : store_(store), clock_(clock) {}

  Result<ChunkView> Get(const ChunkRef& ref, const Want& want) override {
    if (clock_.Now() > want.deadline)
      return MakeError(Code::kTimeout, "chunk " + ref.name.Short() +
                                           ": too late to ask the origin");
    ASSIGN_OR_RETURN(Bytes bytes, ReadChunkObject(store_, ref));
    return ChunkView::Owned(std::move(bytes));
  }

 private:
  ObjectStore& store_;
  Clock& clock_;
};

}  // namespace

std::string ChunkKey(const std::string& root, const ChunkName& name) {
  const std::string text = name.ToString();
  return "roots/" + root + "/chunks/" + text.substr(0, 2) + "/" + text;
}

Result<Bytes> ReadChunkObject(ObjectStore& store, const ChunkRef& ref) {
  const std::string key = ChunkKey(ref.root, ref.name);
  ASSIGN_OR_RETURN_AS(ObjectData data, store.Get(key, 0, ref.stored_length),
                      "read a chunk from the origin");
  if (data.info.size_bytes != ref.stored_length ||
      data.bytes.size() != ref.stored_length)
    return MakeError(Code::kCorrupt, "the origin's " + key + " has " +
                                         std::to_string(data.info.size_bytes) +
                                         " bytes instead of " +
                                         std::to_string(ref.stored_length));
  if (!ref.name.Matches(data.bytes))
    return MakeError(
        Code::kCorrupt,
        "the origin's " + key + " is damaged: its SHA-256 is not its name");
  return std::move(data.bytes);
}

std::unique_ptr<ChunkSource> MakeOriginChunkSource(ObjectStore& store,
                                                   Clock& clock) {
  return std::make_unique<OriginChunkSource>(store, clock);
}

}  // namespace morsel
