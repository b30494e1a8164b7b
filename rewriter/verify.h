// The proof of a patch, by a reader that trusts nothing the rewriter computed.
//
// It shares with the rewriter the decoders (of instructions, of unwind tables) and the format
// (trampoline/), and nothing else: no ELF
// reader, no plan, no layout, no writer, no scan. What it says of a file follows from the file's
// bytes, and, if the original is given, from the original's.
//
//   whole       trailer, checksum, tables in their only legal order, zeros in every gap
//   restored    the recorded originals, put back, give a file whose headers and counts agree with
//               what was recorded; with the original at hand: that very file
//   original    is mapped by all as it is read here; its headers are those of the output, but for
//               edits that its kind allows
//   windows     each holds one syscall and the displaced instructions, as the original decodes;
//               its new bytes are the jump or poison of its tier and nothing else
//   stubs       back to back, without a byte between them; the displaced instructions do what they
//               did, the core is the one of trampoline/stub.h, the jump leads behind the window
//   springboards  stand in padding that nothing runs into
//   segment     with --embed=segment: headers, sections and dynamic entries as they were, or led to
//               where their bytes now are
//   symbols     section headers, symbols and unwind tables of the stubs, if there are any, follow
//               from the original and the sites, byte for byte
//   entries     no branch at any byte position of the code, no relocation, symbol or pointer leads
//               into a window or a springboard, other than where the patch allows for it; nor does
//               a landing pad, or a jump table of the same function
//   reach       what control flow reaches of a patch is what the patch displaces, and each syscall
//               that it reaches is a site, or may be one of those reported as uncertain
//
// What is not proven: that a site is code where verify counts it as unvouched; that a `0F 05` which
// was left alone is no system call where neither control flow arrives from a function's known start
// nor decodes in front agree (inspect lists them with the evidence), and that no jump table of
// another function leads into a window of tier C.
#ifndef SYSREWRITE_REWRITER_VERIFY_H_
#define SYSREWRITE_REWRITER_VERIFY_H_

#include <optional>

#include "rewriter/verify_findings.h"
#include "trampoline/layout.h"

namespace sysrewrite {

struct Verdict {
  // Another tool has written headers and sections anew around a trampoline that is a segment
  // (strip, objcopy): they could not be compared with the input's, everything else was.
  bool changed_since = false;
  Findings findings;  // empty: everything holds
  // What was found to hold, or not; all 0 where the trailer could not even be read.
  uint64_t input_size = 0;  // bytes
  uint64_t stub_bytes = 0;
  uint32_t covered = 0, sprung = 0, windowed = 0, trapped = 0, native = 0;  // sites by tier
  // Of the sites: those that neither control flow nor decodes in front say to be code. What
  // --uncertain has patched is among them, and may be data.
  uint32_t unvouched = 0;
  uint32_t candidates = 0, inside = 0, data = 0, uncertain = 0;

  bool proven() const { return findings.empty(); }
  uint32_t sites() const { return covered + sprung + windowed + trapped + native; }
};

// Never fails: what cannot be read is a finding. Thread safe; the result depends on the bytes
// alone. Takes memory for one copy of the input.
Verdict verify(ByteView output, std::optional<ByteView> original = std::nullopt);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_VERIFY_H_
