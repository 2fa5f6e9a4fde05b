// SPDX-License-Identifier: Apache-2.0
// Encoding and rebuilding a chunk of 512 KiB, against a loop over bytes. Exits
// with 1 if parity is not vectorised: a byte loop that the compiler does not
// vectorise XORs some 3.5 GB/s, ISA-L some 50, so a factor of 3 tells them
// apart on any machine.
//
//   erasure [K R]        default 4 1
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "erasure/code.h"

namespace morsel {
namespace {

constexpr size_t kChunk = 512 * kKiB;
constexpr double kVectorised = 3;

#ifndef __clang__  // which only compiles this, to keep it whole
__attribute__((optimize("no-tree-vectorize")))
#endif
void XorBytes(
    const std::byte* data, size_t k, size_t length, std::byte* parity) {
  for (size_t i = 0; i < length; ++i) {
    std::byte sum{0};
    for (size_t s = 0; s < k; ++s) sum ^= data[s * length + i];
    parity[i] = sum;
  }
}

// The fastest of many runs, in µs: noise only adds.
template <typename Work>
double Fastest(const Work& work) {
  double best = std::numeric_limits<double>::max();
  for (int i = 0; i < 300; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::micro> took =
        std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count());
  }
  return best;
}

int Run(uint32_t k, uint32_t r) {
  const Result<ErasureCode> made = ErasureCode::Make(k, r);
  if (!made.ok() || r == 0) return 2;
  const ErasureCode& code = *made;
  Bytes data(kChunk);
  for (size_t i = 0; i < data.size(); ++i)
    data[i] = static_cast<std::byte>(i * 2654435761U >> 13);
  const size_t length = code.StripeLength(kChunk);
  const Bytes stripes = code.Encode(data);
  Bytes all(length * (k + r));
  const double copy = Fastest([&] { all.assign(data.begin(), data.end()); });
  const double encode = Fastest([&] { all = code.Encode(data); });
  // Each stripe in a buffer of its own, as they come from the nodes.
  std::vector<Bytes> lone(k + r);
  std::vector<ByteSpan> given(k + r);
  for (uint32_t i = 1; i <= k; ++i)
    given[i] = lone[i] =
        CopyBytes(ByteSpan(stripes).subspan(i * length, length));
  Bytes out(kChunk);
  const double rebuild = Fastest([&] { (void)code.Rebuild(given, out); });
  if (out != data) return 1;
  Bytes parity(length);
  data.resize(length * k);
  const double loop =
      Fastest([&] { XorBytes(data.data(), k, length, parity.data()); });
  const double times = loop * r / encode;
  std::printf(
      "512 KiB, %u+%u: encode %.1f us (of it copying about %.1f), rebuild one "
      "lost %.1f us, a byte loop %.1f us for each parity: %.1f x\n",
      k, r, encode, copy, rebuild, loop, times);
  if (times >= kVectorised) return 0;
  std::printf("parity is NOT vectorised: %.1f x is under %.0f x\n", times,
              kVectorised);
  return 1;
}

}  // namespace
}  // namespace morsel

int main(int argc, char** argv) {
  if (argc == 1) return morsel::Run(4, 1);
  if (argc != 3) return 2;
  return morsel::Run(static_cast<uint32_t>(std::atoi(argv[1])),
                     static_cast<uint32_t>(std::atoi(argv[2])));
}
