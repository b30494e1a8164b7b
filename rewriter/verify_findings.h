// What verify found not to hold: where, what stands there, what should.
#ifndef SYSREWRITE_REWRITER_VERIFY_FINDINGS_H_
#define SYSREWRITE_REWRITER_VERIFY_FINDINGS_H_

#include <string>
#include <vector>

#include "trampoline/address.h"
#include "trampoline/bytes.h"

namespace sysrewrite {

struct Finding {
  enum class Space { kFile, kAddress };

  Space space = Space::kFile;
  uint64_t where = 0;  // file offset or address
  std::string what;    // "the jump of a window"
  std::string found, expected;
};

// "address 0x401000: the jump of a window: found e9 00 00 00 00, expected e9 fb ef ff ff"
std::string describe(const Finding& finding);

class Findings {
 public:
  void at_offset(uint64_t offset, std::string what, std::string found, std::string expected);
  void at_address(Vaddr address, std::string what, std::string found, std::string expected);

  // Both say what was found where they find a difference, and return whether there was none.
  bool same_number(uint64_t offset, const char* what, uint64_t found, uint64_t expected);
  bool same_bytes(Vaddr address, const char* what, ByteView found, ByteView expected);
  bool zeros(ByteView file, uint64_t from, uint64_t to, const char* what);

  bool empty() const { return count_ == 0; }
  size_t count() const { return count_; }
  // The first thousand: a file that is wrong everywhere would take more memory than it is worth.
  const std::vector<Finding>& first() const { return first_; }

 private:
  void add(Finding finding);

  size_t count_ = 0;
  std::vector<Finding> first_;
};

// "e9 fb ef ff ff", cut after 16 bytes.
std::string hex_text(ByteView bytes);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_FINDINGS_H_
