// SPDX-License-Identifier: Apache-2.0
#include "image/read_layers.h"

#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <utility>

#include "base/parallel.h"
#include "oci/layer_reader.h"
#include "oci/layer_stream.h"
#include "oci/path.h"

namespace morsel {
namespace {

constexpr size_t kMaxWarnings = 20;  // of one layer

// What all layers together may use.
struct Budget {
  std::atomic<uint64_t> entries{0};
  std::atomic<uint64_t> name_bytes{0};
};

class LayerRecorder {
 public:
  LayerRecorder(LayerReader& reader, SpoolWriter& writer, Budget& budget,
                LayerRecords& records)
      : reader_(reader), writer_(writer), budget_(budget), records_(records) {}

  Status Run() {
    LayerEntry entry;
    while (true) {
      ASSIGN_OR_RETURN(const bool more, reader_.Next(entry));
      if (!more) return writer_.Flush();
      RETURN_IF_ERROR(Record(entry));
    }
  }

 private:
  std::string Where(const LayerEntry& entry) const {
    return "layer " + records_.id + ", entry " + PrintablePath(entry.path);
  }

  // The reader's own errors say where already.
  Status Record(LayerEntry& entry) {
    RETURN_IF_ERROR_AS(Charge(entry), Where(entry));
    EntryRecord record;
    record.path = AddText(entry.path);
    record.target = AddText(entry.target);
    record.mode = entry.mode;
    record.uid = entry.uid;
    record.gid = entry.gid;
    record.mtime_seconds = entry.mtime_seconds;
    record.mtime_nanoseconds = entry.mtime_nanoseconds;
    record.size_bytes = entry.size_bytes;
    record.device_major = entry.device_major;
    record.device_minor = entry.device_minor;
    if (!entry.xattrs.empty()) {
      records_.xattr_sets.push_back(std::move(entry.xattrs));
      record.xattr_set = static_cast<uint32_t>(records_.xattr_sets.size());
    }
    if (!entry.warning.empty() && records_.warnings.size() < kMaxWarnings)
      records_.warnings.push_back(Where(entry) + ": " + entry.warning);
    if (S_ISREG(record.mode)) RETURN_IF_ERROR(SpoolData(record));
    records_.entries.push_back(record);
    return Ok();
  }

  Status Charge(const LayerEntry& entry) {
    uint64_t bytes = entry.path.size() + entry.target.size();
    for (const auto& [name, value] : entry.xattrs)
      bytes += name.size() + value.size();
    if (++budget_.entries > kMaxEntries)
      return MakeError(Code::kInvalid,
                       "the image has more than 8,000,000 entries");
    if ((budget_.name_bytes += bytes) > kMaxNameBytesOfImage)
      return MakeError(Code::kInvalid,
                       "the names in the image are more than 1 GiB");
    return Ok();
  }

  TextRange AddText(const std::string& text) {
    const TextRange range{static_cast<uint32_t>(records_.text.size()),
                          static_cast<uint16_t>(text.size())};
    records_.text += text;
    return range;
  }

  Status SpoolData(EntryRecord& record) {
    record.first_extent = static_cast<uint32_t>(records_.extents.size());
    DataRun run;
    while (true) {
      ASSIGN_OR_RETURN(const bool more, reader_.ReadData(run));
      if (!more) break;
      ASSIGN_OR_RETURN(const uint64_t source, writer_.Append(run.bytes));
      AddExtent({run.offset, source, run.bytes.size()}, record);
    }
    return Ok();
  }

  // Pieces of one run of data become one extent again.
  void AddExtent(const TreeExtent& extent, EntryRecord& record) {
    if (record.extent_count > 0) {
      TreeExtent& last = records_.extents.back();
      if (last.file_offset + last.length == extent.file_offset &&
          last.source_offset + last.length == extent.source_offset) {
        last.length += extent.length;
        return;
      }
    }
    records_.extents.push_back(extent);
    ++record.extent_count;
  }

  LayerReader& reader_;
  SpoolWriter& writer_;
  Budget& budget_;
  LayerRecords& records_;
};

Status ReadLayer(const SourceImage& image, size_t index, Spool& spool,
                 Progress& progress, Budget& budget, LayerRecords& records) {
  const ImageLayer& layer = image.layers[index];
  records.id = layer.id();
  ASSIGN_OR_RETURN(FileRange blob, image.store->Open(layer.path));
  const std::unique_ptr<LayerStream> stream = OpenLayerStream(
      std::move(blob),
      {.digest = layer.digest,
       .diff_id = layer.diff_id,
       .on_blob_bytes = [&progress](uint64_t size) { progress.Add(size); }});
  ASSIGN_OR_RETURN(const std::unique_ptr<LayerReader> reader,
                   LayerReader::Open(*stream, layer.id()));
  SpoolWriter writer(spool, index);
  const Status read = LayerRecorder(*reader, writer, budget, records).Run();
  // A layer that is not what it should be is damaged, whatever the damage
  // looks like to the tar reader.
  const bool drain = read.ok() || read.error().code == Code::kInvalid;
  Status digests = drain ? stream->Finish() : Ok();
  if (!digests.ok() && (read.ok() || digests.error().code == Code::kCorrupt))
    return std::move(digests).error().Wrap("layer " + layer.id());
  return read;
}

}  // namespace

Result<std::vector<LayerRecords>> ReadLayers(const SourceImage& image,
                                             Spool& spool, size_t thread_count,
                                             Progress& progress) {
  std::vector<LayerRecords> records(image.layers.size());
  Budget budget;
  JobPool pool(thread_count, thread_count);
  for (size_t i = 0; i < records.size(); ++i) {
    const Status submitted = pool.Submit([&, i] {
      return ReadLayer(image, i, spool, progress, budget, records[i]);
    });
    if (!submitted.ok()) break;
  }
  RETURN_IF_ERROR(pool.Finish());
  return records;
}

}  // namespace morsel
