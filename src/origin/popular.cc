// SPDX-License-Identifier: Apache-2.0
#include "origin/popular.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "crypto/hash.h"
#include "origin/document.h"
#include "origin/next_step.h"

namespace morsel {
namespace {

constexpr std::string_view kMagic = "morsel-popular-1";
constexpr size_t kNameDigits = 2 * kDigestSize;
constexpr uint64_t kMaxListBytes = 64 + kMaxPopularNames * (kNameDigits + 1);

Error Damaged(size_t line, const std::string& what) {
  return MakeError(Code::kCorrupt,
                   "line " + std::to_string(line) + ": " + what);
}

std::string_view TakeLine(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

Result<uint32_t> ParseWord(std::string_view& line, std::string_view name) {
  uint32_t value = 0;
  const std::string prefix = " " + std::string(name) + "=";
  if (!line.starts_with(prefix)) return Damaged(1, "no " + std::string(name));
  line.remove_prefix(prefix.size());
  const auto [end, failed] =
      std::from_chars(line.data(), line.data() + line.size(), value);
  if (failed != std::errc() || value == 0)
    return Damaged(1, "bad " + std::string(name));
  line.remove_prefix(static_cast<size_t>(end - line.data()));
  return value;
}

struct StoredList {
  PopularList list;
  std::string version;  // of the object; empty: there is none
};

Result<StoredList> Load(ObjectStore& store, const std::string& root) {
  Result<ObjectData> data = store.Get(PopularKey(root), 0, kMaxListBytes);
  if (!data.ok() && data.error().code == Code::kNotFound) return StoredList{};
  if (!data.ok()) return std::move(data).error();
  Result<PopularList> list = data->info.size_bytes > kMaxListBytes
                                 ? MakeError(Code::kCorrupt, "it is too long")
                                 : DecodePopular(AsText(data->bytes));
  if (!list.ok())
    return WithNextStep(
        std::move(list).error().Wrap("the origin's " + PopularKey(root) +
                                     ", a list of popular chunks, is damaged"),
        PopularKey(root));
  return StoredList{std::move(list).value(), data->info.version};
}

}  // namespace

bool PopularList::Contains(const ChunkName& name) const {
  return std::binary_search(names.begin(), names.end(), name);
}

uint32_t PopularList::VariantOf(std::string_view repository) const {
  Sha256 hash;
  hash.Update(AsBytes("morsel-variant-1"));
  hash.Update(AsBytes(repository));
  return static_cast<uint32_t>(LoadLe<uint64_t>(hash.Finish().data()) %
                               variants);
}

std::string PopularKey(const std::string& root) {
  return "roots/" + root + "/popular";
}

std::string EncodePopular(const PopularList& list) {
  std::string text = std::string(kMagic) +
                     " version=" + std::to_string(list.version) +
                     " variants=" + std::to_string(list.variants) + "\n";
  text.reserve(text.size() + list.names.size() * (kNameDigits + 1));
  for (const ChunkName& name : list.names) text += name.ToString() + "\n";
  return text;
}

Result<PopularList> DecodePopular(std::string_view text) {
  std::string_view line = TakeLine(text);
  if (!line.starts_with(kMagic)) return Damaged(1, "no " + std::string(kMagic));
  line.remove_prefix(kMagic.size());
  PopularList list;
  ASSIGN_OR_RETURN(list.version, ParseWord(line, "version"));
  ASSIGN_OR_RETURN(list.variants, ParseWord(line, "variants"));
  if (!line.empty() || list.variants > kMaxPopularVariants)
    return Damaged(1, "bad variants");
  for (size_t number = 2; !text.empty(); ++number) {
    const Result<ChunkName> name = ChunkName::Parse(TakeLine(text));
    if (!name.ok()) return Damaged(number, "no name of a chunk");
    if (!list.names.empty() && !(list.names.back() < *name))
      return Damaged(number, "out of order");
    if (list.names.size() == kMaxPopularNames)
      return Damaged(number, "too many names");
    list.names.push_back(*name);
  }
  return list;
}

Result<PopularList> ReadPopular(ObjectStore& store, const std::string& root) {
  ASSIGN_OR_RETURN(StoredList stored, Load(store, root));
  return std::move(stored.list);
}

Result<PopularList> GrowPopular(ObjectStore& store, const std::string& root,
                                std::span<const ChunkName> names,
                                uint32_t variants) {
  std::vector<ChunkName> wanted(names.begin(), names.end());
  std::sort(wanted.begin(), wanted.end());
  PopularList grown;
  RETURN_IF_ERROR(RetryWhileChanged(PopularKey(root), [&]() -> Status {
    ASSIGN_OR_RETURN(const StoredList old, Load(store, root));
    grown = old.list;
    grown.names.clear();
    std::set_union(old.list.names.begin(), old.list.names.end(), wanted.begin(),
                   wanted.end(), std::back_inserter(grown.names));
    grown.names.erase(std::unique(grown.names.begin(), grown.names.end()),
                      grown.names.end());
    if (grown.names.size() == old.list.names.size()) return Ok();
    if (grown.names.size() > kMaxPopularNames)
      return MakeError(Code::kExhausted,
                       PopularKey(root) + " would have more than " +
                           std::to_string(kMaxPopularNames) + " names");
    ++grown.version;
    if (old.version.empty())
      grown.variants = std::clamp(variants, 1U, kMaxPopularVariants);
    const std::string text = EncodePopular(grown);
    return old.version.empty()
               ? store.PutIfAbsent(PopularKey(root), AsBytes(text))
               : store.ReplaceIfUnchanged(PopularKey(root), AsBytes(text),
                                          old.version);
  }));
  return grown;
}

}  // namespace morsel
