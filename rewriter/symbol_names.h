// Names for addresses of code, as people read them: "write+0x12".
#ifndef SYSREWRITE_REWRITER_SYMBOL_NAMES_H_
#define SYSREWRITE_REWRITER_SYMBOL_NAMES_H_

#include <string>
#include <vector>

#include "rewriter/symbols.h"

namespace sysrewrite {

class SymbolNames {
 public:
  // Functions and labels of the image, which must outlive this.
  explicit SymbolNames(const ElfImage& image);

  // Bytes of a name that are shown: one name may stand at thousands of addresses.
  static constexpr size_t kLongestShown = 1024;

  // The nearest function that holds the address, or the nearest label before it in its segment's
  // code; empty where there is neither. A name that is longer than kLongestShown ends in "...".
  std::string name_of(Vaddr address) const;
  // The same without the distance: "write".
  std::string_view function_of(Vaddr address) const;

 private:
  struct Named {
    Vaddr address;
    uint64_t size;
    bool function;  // not a label
    std::string_view name;
  };

  const Named* find(Vaddr address) const;

  std::vector<Named> symbols_;  // ascending; of several at one address the best stands last
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_SYMBOL_NAMES_H_
