// How to unwind from inside the stubs: for each point of a stub the rules of the point of the
// program that it stands for.
//
//     stub:     displaced instructions          the rules of the instructions themselves: a push is
//                                               a push in the stub as well
//     enter:    lea -0x80(%rsp), %rsp           those of the syscall
//               ... jmp *slot(%rip)             those, with rsp 128 lower
//     resume:   jmp fix                         those behind the syscall
//     tail:     lea 0x80(%rsp), %rsp            those of the syscall, with rsp 128 lower
//               syscall                         those of the syscall
//     fix:      lea after_syscall(%rip), %rcx   those behind the syscall
//               displaced instructions          the rules of the instructions themselves
//               jmp <window's end>              those of the window's end
//
// A stub has no FDE where the code around its site has none, or one that cannot be read or said of
// another rsp: a debugger then guesses, as it did before. Language-specific data (landing pads) is
// left out: no exception is thrown by a stub, and a runtime that unwinds from a signal sees the
// program's own address.
#ifndef SYSREWRITE_REWRITER_STUB_FRAMES_H_
#define SYSREWRITE_REWRITER_STUB_FRAMES_H_

#include <vector>

#include "rewriter/elf_image.h"
#include "rewriter/frame_writer.h"
#include "rewriter/layout.h"

namespace sysrewrite {

// The sections, if any, that frames come from: .eh_frame is asked first.
struct InputFrames {
  CallFrames eh, debug;

  // A compressed .debug_frame is not read.
  static InputFrames read(const ElfImage& image);
  const CallFrame* covering(Vaddr address) const {
    const CallFrame* frame = eh.covering(address);
    return frame != nullptr ? frame : debug.covering(address);
  }
};

// Ascending, one for each stub that can be described.
std::vector<WrittenFrame> stub_frames(const ElfImage& image, const Layout& layout,
                                      const Options& options);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_STUB_FRAMES_H_
