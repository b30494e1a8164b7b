// Which bytes of the original's executable segments its section headers call code, as verify reads
// them.
#ifndef SYSREWRITE_REWRITER_VERIFY_CODE_SECTIONS_H_
#define SYSREWRITE_REWRITER_VERIFY_CODE_SECTIONS_H_

#include <utility>
#include <vector>

#include "rewriter/verify_image.h"

namespace sysrewrite {

class CodeSections {
 public:
  explicit CodeSections(const OriginalImage& original);

  // True for every address where no section says otherwise, or where they do not even know of the
  // entry point.
  bool may_hold(uint64_t address) const;

 private:
  // Ascending by start; each with the highest end of it and of those in front.
  std::vector<std::pair<uint64_t, uint64_t>> sections_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_CODE_SECTIONS_H_
