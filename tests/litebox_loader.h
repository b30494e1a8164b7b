// What LiteBox's own loader checks and does, written from its behaviour at microsoft/litebox
// revision 0279cda2b9bdab129ad9f7be22cb8303a91c78fe (litebox_common_linux/src/loader.rs): an output
// of
// --format=litebox that passes here is one that it takes.
#ifndef SYSREWRITE_TESTS_LITEBOX_LOADER_H_
#define SYSREWRITE_TESTS_LITEBOX_LOADER_H_

#include <optional>
#include <vector>

#include "tests/byte_literals.h"
#include "trampoline/elf_types.h"

namespace sysrewrite::test {

enum class LiteboxVerdict {
  kUnsupportedType,  // neither ET_EXEC nor ET_DYN, or for another machine
  kBadFormat,        // class, e_phentsize, or more than 64 KB of program headers
  kUnpatched,        // no magic
  kBadVersion,       // "LITEBOX" and another eighth byte
  kBadTrampoline,    // the trailer does not hold
  kNothingToDo,      // size 0: looked at, no system call
  kPatched,
};

class LiteboxImage {
 public:
  // The checks, in its order.
  static LiteboxVerdict check(const Bytes& file);

  // Maps a file that check() calls kPatched, as it does: one reservation for everything of an
  // ET_DYN file from the lowest address to the highest, the trampoline's end included; the
  // callback's address into the first 8 bytes of the trampoline, which then becomes read-execute.
  LiteboxImage(const Bytes& file, uint64_t callback);
  ~LiteboxImage();
  LiteboxImage(const LiteboxImage&) = delete;
  LiteboxImage& operator=(const LiteboxImage&) = delete;

  uint64_t base() const { return base_; }
  bool mapped() const { return span_ != 0; }

 private:
  uint64_t base_ = 0;  // what is added to an address of the file
  uint64_t start_ = 0;
  uint64_t span_ = 0;
};

}  // namespace sysrewrite::test

#endif  // SYSREWRITE_TESTS_LITEBOX_LOADER_H_
