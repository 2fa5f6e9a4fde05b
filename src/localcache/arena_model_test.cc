// SPDX-License-Identifier: Apache-2.0
// A model of the arena's protocol (localcache/arena_layout.h), small enough to
// run every interleaving of writer and reader: each step of either is followed
// by each possible step of the other, the writer may die between any two steps
// and be followed by one that adopts the arena, and a reader may stop for ever.
// CRCs are left out: the generations must do it alone.
//
// Two slots fight for one piece of two words. At first slot 0 shows chunk X in
// it; the writer gives the piece to chunk Y in slot 1, and back to X in slot 0,
// and so on. The reader wants X. What it accepts must be X, whole.
//
// So that the model is known to find something, each rule of the protocol is
// broken in turn, and the model must find wrong bytes.
#include <gtest/gtest.h>

#include <array>
#include <set>
#include <vector>

namespace morsel {
namespace {

constexpr int kX = 1;
constexpr int kY = 2;
constexpr int kPuts = 3;

enum class Break {
  kNothing,
  kOddTooLate,    // the piece is overwritten before its old slot goes odd
  kEvenTooEarly,  // the new slot is shown before its bytes are in place
  kNoSecondLook,  // the reader does not read the generation again
  kNoNameCheck,   // the reader trusts the index
  kStartsOver,    // a freed slot begins at generation 0 again
};

struct Slot {
  int generation = 0;
  int name = 0;
  auto operator<=>(const Slot&) const = default;
};

// All that both can see, and where each of them is.
struct State {
  std::array<Slot, 2> slots{{{2, kX}, {0, 0}}};
  std::array<int, 2> piece{kX, kX};
  int puts = 0;         // finished
  int writer_step = 0;  // within a put
  int reader_step = 0;
  int reader_slot = 0;
  int reader_generation = 0;
  std::array<int, 2> copied{};
  auto operator<=>(const State&) const = default;
};

class Model {
 public:
  explicit Model(Break broken) : broken_(broken) {}

  // True if a reader can accept what is not X.
  bool FindsWrongBytes() {
    Visit(State());
    return wrong_;
  }
  size_t states() const { return seen_.size(); }
  bool accepted_some() const { return accepted_; }

 private:
  void Visit(const State& state) {
    if (wrong_ || !seen_.insert(state).second) return;
    for (const State& next : Writer(state)) Visit(next);
    for (const State& next : Reader(state)) Visit(next);
  }

  // Put number n moves the piece to slot (n + 1) % 2.
  std::vector<State> Writer(const State& state) const {
    if (state.puts == kPuts) return {};
    State next = state;
    ++next.writer_step;
    Slot& target = next.slots[static_cast<size_t>((state.puts + 1) % 2)];
    Slot& victim = next.slots[static_cast<size_t>(state.puts % 2)];
    const int name = state.puts % 2 == 0 ? kY : kX;
    const std::array<int, 7> order =
        broken_ == Break::kOddTooLate     ? std::array{1, 2, 3, 4, 0, 5, 6}
        : broken_ == Break::kEvenTooEarly ? std::array{0, 1, 2, 5, 3, 4, 6}
                                          : std::array{0, 1, 2, 3, 4, 5, 6};
    switch (order[static_cast<size_t>(state.writer_step)]) {
      case 0:  // evict
        victim.generation =
            broken_ == Break::kStartsOver ? 1 : victim.generation | 1;
        break;
      case 1:  // reserve
        target.generation |= 1;
        break;
      case 2:
        target.name = name;
        break;
      case 3:
        next.piece[0] = name;
        break;
      case 4:
        next.piece[1] = name;
        break;
      case 5:  // show
        ++target.generation;
        break;
      default:
        ++next.puts;
        next.writer_step = 0;
    }
    std::vector<State> after{next};
    // Death, and a successor: what is odd is free, what is even is kept. So a
    // put that was shown is finished, any other is begun anew.
    State died = next;
    died.writer_step = 0;
    if (target.generation % 2 == 0 && target.name == name) ++died.puts;
    if (next.writer_step != 0 && broken_ == Break::kNothing)
      after.push_back(died);
    return after;
  }

  // Each read of shared memory is a step of its own.
  std::vector<State> Reader(const State& state) {
    const Slot& slot = state.slots[static_cast<size_t>(state.reader_slot)];
    State next = state;
    ++next.reader_step;
    switch (state.reader_step) {
      case 0: {  // the index gives either slot
        State other = next;
        other.reader_slot = 1;
        return {next, other};
      }
      case 1:
        next.reader_generation = slot.generation;
        if (slot.generation == 0 || slot.generation % 2 == 1) return {};
        return {next};
      case 2:
        if (slot.name != kX && broken_ != Break::kNoNameCheck) return {};
        return {next};
      case 3:
        next.copied[0] = state.piece[0];
        return {next};
      case 4:
        next.copied[1] = state.piece[1];
        return {next};
      case 5:
        if (slot.generation != state.reader_generation &&
            broken_ != Break::kNoSecondLook)
          return {};
        accepted_ = true;
        if (state.copied != std::array{kX, kX}) wrong_ = true;
        return {};
      default:
        return {};
    }
  }

  const Break broken_;
  std::set<State> seen_;
  bool wrong_ = false;
  bool accepted_ = false;
};

TEST(ArenaModel, NoInterleavingLetsAReaderAcceptAnotherChunk) {
  Model model(Break::kNothing);
  EXPECT_FALSE(model.FindsWrongBytes());
  EXPECT_TRUE(model.accepted_some());
  EXPECT_GT(model.states(), 500u);
}

TEST(ArenaModel, EachRuleIsNeeded) {
  for (const Break broken :
       {Break::kOddTooLate, Break::kEvenTooEarly, Break::kNoSecondLook,
        Break::kNoNameCheck, Break::kStartsOver})
    EXPECT_TRUE(Model(broken).FindsWrongBytes()) << static_cast<int>(broken);
}

}  // namespace
}  // namespace morsel
