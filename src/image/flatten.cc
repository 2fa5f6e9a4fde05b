// SPDX-License-Identifier: Apache-2.0
#include "image/flatten.h"

#include <sys/stat.h>

#include <utility>

#include "image/merge.h"
#include "image/read_layers.h"
#include "oci/image_source.h"

namespace morsel {
namespace {

uint64_t VisibleFileBytes(const Tree& tree) {
  uint64_t sum = 0;
  for (const TreeNode& node : tree.nodes)
    if (!node.hidden && S_ISREG(node.mode)) sum += node.size_bytes;
  return sum;
}

// Pass 1 and the merge.
Result<MergedImage> ReadAndMerge(const SourceImage& source, size_t threads,
                                 FlatImage& flat, Progress& progress) {
  uint64_t blob_bytes = 0;
  for (const ImageLayer& layer : source.layers) blob_bytes += layer.size_bytes;
  ASSIGN_OR_RETURN(flat.spool, Spool::Create(flat.folder->path(),
                                             source.layers.size(), blob_bytes));
  progress.Begin("Reading layers", blob_bytes);
  ASSIGN_OR_RETURN(std::vector<LayerRecords> records,
                   ReadLayers(source, *flat.spool, threads, progress));
  progress.End();
  return MergeLayers(std::move(records));
}

}  // namespace

Result<FlatImage> FlattenImage(const FlattenOptions& options,
                               Progress& progress) {
  FlatImage flat;
  ASSIGN_OR_RETURN(flat.folder, WorkFolder::Create(options.spool_dir));
  if (options.source.starts_with("docker://"))
    progress.Begin("Fetching the image by skopeo", 0);
  ASSIGN_OR_RETURN(SourceImage source,
                   OpenImage({.source = options.source,
                              .platform = options.platform,
                              .work_dir = flat.folder->path()}));
  progress.End();
  ASSIGN_OR_RETURN(MergedImage merged,
                   ReadAndMerge(source, options.thread_count, flat, progress));
  flat.file_bytes = VisibleFileBytes(merged.tree);
  flat.entry_count = merged.tree.entries.size();
  ASSIGN_OR_RETURN(flat.ext4, Ext4Image::Build(merged.tree, *flat.spool,
                                               flat.folder->path()));
  flat.digest = source.digest;
  flat.suggested_name = source.suggested_name;
  if (!source.layers.empty())
    flat.lowest_diff_id = source.layers.front().diff_id;
  flat.config = std::move(source.config);
  flat.warnings = std::move(source.warnings);
  flat.warnings.insert(flat.warnings.end(), merged.warnings.begin(),
                       merged.warnings.end());
  return flat;
}

}  // namespace morsel
