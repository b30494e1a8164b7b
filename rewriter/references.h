// Who refers to bytes of the file by their address. What --embed=segment takes from its place is
// found anew through program headers, section headers and the dynamic section; but a program may
// have put a note there itself, and read it.
#ifndef SYSREWRITE_REWRITER_REFERENCES_H_
#define SYSREWRITE_REWRITER_REFERENCES_H_

#include <optional>
#include <vector>

#include "rewriter/elf_image.h"
#include "rewriter/range_set.h"

namespace sysrewrite {

struct Reference {
  uint64_t address = 0;  // that is referred to
  const char* by = "";   // "a pointer"
};

// One of those that lead to one of `targets`, if there is any; as such counts a relocation that
// writes into `range`, which has them all. Not counted are the headers and the dynamic section, nor
// symbols that no other module can see: glibc gives one to its .note.ABI-tag, and never uses it.
std::optional<Reference> find_reference(const ElfImage& image, const Range& range,
                                        const std::vector<Range>& targets);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_REFERENCES_H_
