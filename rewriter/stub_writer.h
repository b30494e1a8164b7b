// Stubs and window patches as bytes.
#ifndef SYSREWRITE_REWRITER_STUB_WRITER_H_
#define SYSREWRITE_REWRITER_STUB_WRITER_H_

#include <vector>

#include "rewriter/elf_image.h"
#include "rewriter/layout.h"
#include "trampoline/layout.h"

namespace sysrewrite {

// One site's stub, and where each displaced instruction went.
struct StubBytes {
  std::vector<std::byte> bytes;
  std::vector<DisplacedRecord> displaced;
};

StubBytes write_stub(const ElfImage& image, const StubPlace& place, Vaddr trampoline,
                     const Options& options);

// What replaces the site's window: `window_size()` bytes.
std::vector<std::byte> write_window(const StubPlace& place, Vaddr trampoline);

// The 5 bytes of a springboard.
std::vector<std::byte> write_springboard(Vaddr springboard, const StubPlace& place,
                                         Vaddr trampoline);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_STUB_WRITER_H_
