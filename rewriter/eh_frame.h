// Functions as the unwind tables know them. Nearly every compiled function has an FDE, with the
// exact start and end, in stripped files too.
// Source: LSB Core 5.0, 10.6 "Exception Frames"; DWARF 5, 6.4.1.
#ifndef SYSREWRITE_REWRITER_EH_FRAME_H_
#define SYSREWRITE_REWRITER_EH_FRAME_H_

#include <functional>
#include <vector>

#include "rewriter/elf_image.h"
#include "rewriter/frame_table.h"

namespace sysrewrite {

struct FrameEntry {
  Vaddr start;
  uint64_t size = 0;
  std::optional<Vaddr> lsda;  // language-specific data: where its landing pads are listed
  bool signal_frame = false;  // unwinders look this one up at its address minus nothing
};

// The bytes of .eh_frame, to its end or further: it ends at a length of 0. Its place comes from the
// header segment, which stripped files keep, or else from the section.
std::optional<FrameTable> find_frame_table(const ElfImage& image);

// Visits all FDEs of the image, in the table's order. What does not parse is left out: an unwind
// table is evidence, and missing evidence is never a reason to patch.
void for_each_frame_entry(const ElfImage& image,
                          const std::function<void(const FrameEntry&)>& visit);

// Where the unwinder may enter a function whose language-specific data lies at `lsda`, in the
// format that gcc, clang and rustc share; nothing where it does not parse. Source: Itanium C++ ABI:
// Exception Handling, and gcc's unwind-pe.h. Its bytes are taken from the budget, and nothing is
// read that this does not hold: thousands of functions may name one list.
std::optional<std::vector<Vaddr>> read_landing_pads(const ElfImage& image, Vaddr function,
                                                    Vaddr lsda, uint64_t& budget);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_EH_FRAME_H_
