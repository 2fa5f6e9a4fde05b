// SPDX-License-Identifier: Apache-2.0
// Any layers, merged: entries of hostile shape (paths through symlinks, hard
// links to anything, whiteouts of everything) must give an error or a tree
// that the ext4 builder accepts. The input is a text of one entry a line:
//
//   d PATH   f PATH   l PATH TARGET   h PATH TARGET   w PATH   -
//
// where "-" begins the next layer and "w" is a whiteout of PATH's last name.
#include <sys/stat.h>

#include <cstdlib>

#include "base/check.h"
#include "ext4/check_tree.h"
#include "image/merge.h"
#include "oci/path.h"

namespace morsel {
namespace {

constexpr size_t kMaxLines = 200;

std::string_view TakeUntil(std::string_view& text, char mark) {
  const std::string_view taken = text.substr(0, text.find(mark));
  text.remove_prefix(std::min(taken.size() + 1, text.size()));
  return taken;
}

TextRange AddText(std::string_view text, LayerRecords& layer) {
  const TextRange range{static_cast<uint32_t>(layer.text.size()),
                        static_cast<uint16_t>(text.size())};
  layer.text += text;
  return range;
}

uint32_t ModeOf(char kind) {
  if (kind == 'd') return S_IFDIR | 0755;
  if (kind == 'l') return S_IFLNK | 0777;
  return kind == 'h' ? 0 : S_IFREG | 0644;
}

// The line as an entry, in the form that the layer reader gives; false if it
// would have refused it.
bool AddLine(std::string_view line, LayerRecords& layer) {
  const std::string_view kind = TakeUntil(line, ' ');
  std::string raw(TakeUntil(line, ' '));
  std::string target(line);
  if (kind.size() != 1) return false;
  if (kind == "w") raw.insert(raw.rfind('/') + 1, ".wh.");
  const Result<std::string> path = CleanPath(raw);
  if (!path.ok()) return false;
  if (kind == "h") {
    Result<std::string> cleaned = CleanPath(target);
    if (!cleaned.ok()) return false;
    target = std::move(cleaned).value();
  } else if (kind != "l") {
    target.clear();
  } else if (target.empty() || target.size() > kMaxPathBytes) {
    return false;
  }
  EntryRecord record;
  record.path = AddText(*path, layer);
  record.target = AddText(target, layer);
  record.mode = ModeOf(kind[0]);
  layer.entries.push_back(record);
  return true;
}

std::vector<LayerRecords> ReadLayers(std::string_view text) {
  std::vector<LayerRecords> layers(1);
  for (size_t i = 0; i < kMaxLines && !text.empty(); ++i) {
    const std::string_view line = TakeUntil(text, '\n');
    if (line.find('\0') != std::string_view::npos) continue;
    if (line == "-")
      layers.emplace_back();
    else
      AddLine(line, layers.back());
  }
  return layers;
}

void FuzzOne(std::string_view text) {
  const Result<MergedImage> merged = MergeLayers(ReadLayers(text));
  if (!merged.ok()) {
    CHECK(merged.error().code == Code::kInvalid);
    return;
  }
  const Status checked = CheckTree(merged->tree);
  CHECK(checked.ok());
}

}  // namespace
}  // namespace morsel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  morsel::FuzzOne(morsel::AsText(std::as_bytes(std::span(data, size))));
  return 0;
}
