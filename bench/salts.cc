// SPDX-License-Identifier: Apache-2.0
// What salts by popularity cost and what they are worth, by the manifests of a
// real origin: each of its images is counted as if so many repositories had
// converted it, chunks in more than a share of the manifests are popular, and
// the variant of a repository is chosen as a converter chooses it.
//
//   salts ORIGIN REPOSITORIES_PER_IMAGE POPULAR_PERCENT
//
// One line for each number of variants: the dedup that is kept (1 - unique /
// referenced bytes), the bytes stored against one variant, and the largest
// share of images that one object takes down.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "base/clock.h"
#include "origin/origin.h"
#include "store/open_store.h"

namespace morsel {
namespace {

struct Use {
  uint64_t stored_length = 0;
  std::set<size_t> images;
};

struct Figures {
  uint64_t unique = 0;
  uint64_t referenced = 0;
  double largest_share = 0;
};

std::string RepositoryName(size_t image, size_t number) {
  return "team" + std::to_string(number) + "/app" + std::to_string(image);
}

Figures Count(const std::map<ChunkName, Use>& uses, size_t image_count,
              size_t repositories, double popular_share, uint32_t variants) {
  const PopularList list{.version = 1, .variants = variants, .names = {}};
  std::vector<std::vector<size_t>> of_image(image_count,
                                            std::vector<size_t>(variants));
  for (size_t image = 0; image < image_count; ++image)
    for (size_t i = 0; i < repositories; ++i)
      ++of_image[image][list.VariantOf(RepositoryName(image, i))];
  const auto all = static_cast<double>(image_count * repositories);
  Figures figures;
  for (const auto& [name, use] : uses) {
    const size_t references = use.images.size() * repositories;
    figures.referenced += use.stored_length * references;
    std::vector<size_t> objects = {references};
    if (variants > 1 &&
        static_cast<double>(references) >= popular_share * all) {
      objects.assign(variants, 0);
      for (const size_t image : use.images)
        for (uint32_t v = 0; v < variants; ++v)
          objects[v] += of_image[image][v];
    }
    for (const size_t count : objects) {
      if (count > 0) figures.unique += use.stored_length;
      figures.largest_share =
          std::max(figures.largest_share, static_cast<double>(count) / all);
    }
  }
  return figures;
}

Status Run(const std::string& origin_path, size_t repositories,
           double popular_share) {
  ASSIGN_OR_RETURN(const auto store, OpenStore(origin_path, Access::kRead));
  Origin origin(*store, SystemClock());
  ASSIGN_OR_RETURN(const std::vector<ImageRow> rows, origin.ListImages());
  std::map<ChunkName, Use> uses;
  for (size_t image = 0; image < rows.size(); ++image) {
    ASSIGN_OR_RETURN(const ResolvedImage resolved,
                     origin.Resolve(rows[image].name));
    for (size_t i = 0; i < resolved.manifest.chunk_count(); ++i) {
      const ManifestChunk chunk = resolved.manifest.ChunkAt(i);
      uses[chunk.name].stored_length = chunk.stored_length;
      uses[chunk.name].images.insert(image);
    }
  }
  std::printf("%zu images x %zu repositories, %zu distinct chunks\n",
              rows.size(), repositories, uses.size());
  double one = 0;
  for (const uint32_t variants : {1U, 4U, 16U}) {
    const Figures f =
        Count(uses, rows.size(), repositories, popular_share, variants);
    const auto unique = static_cast<double>(f.unique);
    if (variants == 1) one = unique;
    std::printf(
        "M = %2u: dedup %.2f %%, stored %.2f x, one object takes down %.1f "
        "%%\n",
        variants, 100 * (1 - unique / static_cast<double>(f.referenced)),
        unique / one, 100 * f.largest_share);
  }
  return Ok();
}

}  // namespace
}  // namespace morsel

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: salts ORIGIN REPOSITORIES POPULAR_PERCENT\n");
    return 2;
  }
  const morsel::Status done =
      morsel::Run(argv[1], static_cast<size_t>(std::atoll(argv[2])),
                  std::atof(argv[3]) / 100);
  if (done.ok()) return 0;
  std::fprintf(stderr, "salts: %s\n", done.error().message.c_str());
  return 1;
}
