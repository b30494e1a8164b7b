// What binds a trailer to its file: XXH64 (seed 0) over, in this order,
//
//   the ELF header; the program headers it points at; for each site, ascending, its window and its
//   springboard; each edit; the trampoline; the metadata with the checksum field 0; the trailer
//
// all as they stand in the output; of a trampoline in a segment neither headers nor edits, which
// strip and objcopy write anew, and the trailer with its slot page. Not the whole file, since it is
// checked at every start. The hash finds accidents, not attackers: whoever can write the file can
// write the checksum.
#ifndef SYSREWRITE_TRAMPOLINE_CHECKSUM_H_
#define SYSREWRITE_TRAMPOLINE_CHECKSUM_H_

#include "trampoline/bytes.h"

namespace sysrewrite {

class Checksum {
 public:
  Checksum();
  void add(ByteView part);
  uint64_t digest() const;

 private:
  // XXH64's state, kept opaque so that its header stays out of this one.
  alignas(16) std::byte state_[128];
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_TRAMPOLINE_CHECKSUM_H_
