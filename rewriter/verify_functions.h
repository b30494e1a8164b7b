// Where functions of the original begin and how far they reach, as verify reads it: unwind tables,
// function symbols, entry points.
#ifndef SYSREWRITE_REWRITER_VERIFY_FUNCTIONS_H_
#define SYSREWRITE_REWRITER_VERIFY_FUNCTIONS_H_

#include <optional>
#include <vector>

#include "rewriter/verify_image.h"

namespace sysrewrite {

class KnownFunctions {
 public:
  struct Bounds {
    uint64_t start = 0, end = 0;  // exclusive; the start where no size is told

    bool sized() const { return end != start; }
    auto operator<=>(const Bounds&) const = default;
  };

  explicit KnownFunctions(const OriginalImage& original);

  // Of those that hold the address the one that starts last. Nothing where none does, and where
  // behind its start something else begins that does not tell how far it reaches: hand-written code
  // puts sizes over more than is the function's.
  std::optional<Bounds> innermost(Vaddr address) const;

  // True where a symbol says that data stands there, of whatever kind of code it may be.
  bool is_object(Vaddr address) const;

 private:
  void add(const OriginalImage& original, uint64_t start, uint64_t size);
  void add_frames(const OriginalImage& original);
  void add_symbols(const OriginalImage& original);
  void merge();

  std::vector<Bounds> functions_, objects_;  // ascending
  std::vector<uint64_t> object_reach_;       // the highest end of each object and those in front
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_FUNCTIONS_H_
