// Where functions of the original begin and how far they reach, as verify reads it: unwind tables,
// function symbols, entry points.
#ifndef SYSREWRITE_REWRITER_VERIFY_FUNCTIONS_H_
#define SYSREWRITE_REWRITER_VERIFY_FUNCTIONS_H_

#include <optional>
#include <vector>

#include "rewriter/call_frames.h"
#include "rewriter/verify_image.h"

namespace sysrewrite {

class KnownFunctions {
 public:
  struct Bounds {
    uint64_t start = 0, end = 0;  // exclusive
    bool bare = false;            // no size is told: it ends where the next one starts

    auto operator<=>(const Bounds&) const = default;
  };

  explicit KnownFunctions(const OriginalImage& original);

  // Of those that hold the address the one that starts last.
  std::optional<Bounds> innermost(Vaddr address) const;

  // The first that starts in [from, to).
  std::optional<Vaddr> start_in(Vaddr from, Vaddr to) const;

  // True where [from, to) holds the byte in front of a signal frame's function: unwinders look the
  // function up there.
  bool holds_front_of_signal_frame(Vaddr from, Vaddr to) const;

  // The unwind tables that it was read from; empty where there are none that can be read.
  const CallFrames& frames() const { return frames_; }

  // True where a symbol says that data stands there, of whatever kind of code it may be.
  bool is_object(Vaddr address) const;

 private:
  void add(const OriginalImage& original, uint64_t start, uint64_t size);
  void add_frames(const OriginalImage& original);
  void add_symbols(const OriginalImage& original);
  void merge();
  void end_bare_ones(const OriginalImage& original);

  CallFrames frames_;
  std::vector<Bounds> functions_, objects_;  // ascending
  std::vector<uint64_t> object_reach_;       // the highest end of each object and those in front
  std::vector<uint64_t> signal_fronts_;      // ascending
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_FUNCTIONS_H_
