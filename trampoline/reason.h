// Why a site got its tier. One byte in the site table, one sentence for people.
#ifndef SYSREWRITE_TRAMPOLINE_REASON_H_
#define SYSREWRITE_TRAMPOLINE_REASON_H_

#include <cstdint>

namespace sysrewrite {

// Values are part of the file format: append, never renumber.
enum class Reason : uint8_t {
  kNone = 0,
  // Tier A
  kCoversPreviousInstruction = 1,
  kCoversDespiteBranch = 2,
  // Tier B
  kSpringboardInReach = 10,
  kBranchToSyscall = 11,
  // Tier C
  kWindowBefore = 20,
  kWindowAcross = 21,
  kWindowBehind = 22,
  // Tier D and native: what stood in the way of a jump
  kOutOfReach = 30,
  kNoRoom = 31,
  kBranchIntoWindow = 32,
  kRelocationInWindow = 33,
  kFunctionHasIndirectJump = 34,
  kFunctionHasLandingPads = 35,
  kNotReencodable = 36,
  kNeighbourInWindow = 37,
  kFunctionUnknown = 38,
  kLoneSyscall = 39,
  kSymbolInWindow = 40,
  kPointerIntoWindow = 41,
  kColdFragment = 42,
  kExcluded = 43,
  kHiddenEntryInWindow = 44,
  kPatchPointInWindow = 45,
  kReadAsData = 46,
  // No site
  kInt80 = 47,
  kSysenter = 48,
};

// Whether it is said of what is no site of the table.
constexpr bool is_no_site(Reason reason) {
  return reason >= Reason::kInt80;
}

constexpr const char* reason_text(Reason reason) {
  switch (reason) {
    case Reason::kNone:
      return "no reason recorded";
    case Reason::kCoversPreviousInstruction:
      return "the instruction before the syscall is 5 bytes or longer and falls through";
    case Reason::kCoversDespiteBranch:
      return "the jump covers the instruction before; a branch to the syscall itself meets the "
             "trap";
    case Reason::kSpringboardInReach:
      return "springboard in dead padding within reach";
    case Reason::kBranchToSyscall:
      return "a branch may go straight to the syscall, so nothing is displaced; springboard";
    case Reason::kWindowBefore:
      return "instructions before the syscall, none of them entered";
    case Reason::kWindowAcross:
      return "the syscall and instructions before it, none entered";
    case Reason::kWindowBehind:
      return "the syscall and instructions behind it, none entered";
    case Reason::kOutOfReach:
      return "the trampoline is out of the reach of a jmp rel32";
    case Reason::kNoRoom:
      return "no 5 bytes to displace and no dead padding within reach";
    case Reason::kBranchIntoWindow:
      return "a branch may go into the window";
    case Reason::kRelocationInWindow:
      return "a relocation applies to the window, or the file's headers stand there";
    case Reason::kFunctionHasIndirectJump:
      return "the function has an indirect jump whose targets are not known";
    case Reason::kFunctionHasLandingPads:
      return "the function's exception landing pads could not be read";
    case Reason::kNotReencodable:
      return "an instruction of the window cannot run elsewhere";
    case Reason::kNeighbourInWindow:
      return "another site's patch needs the same bytes";
    case Reason::kFunctionUnknown:
      return "the bounds of the function are not known";
    case Reason::kLoneSyscall:
      return "the instructions around the syscall are not known";
    case Reason::kSymbolInWindow:
      return "a symbol or function start lies in the window";
    case Reason::kPointerIntoWindow:
      return "data may hold a pointer into the window";
    case Reason::kColdFragment:
      return "the site lies in a split-off part of a function";
    case Reason::kPatchPointInWindow:
      return "the window holds bytes that a tracer writes over (XRay, patchable entry, mcount, "
             "SDT), or a part of a restartable sequence";
    case Reason::kReadAsData:
      return "an instruction reads or writes these bytes as data";
    case Reason::kHiddenEntryInWindow:
      return "a jump table or landing pad leads into the window";
    case Reason::kExcluded:
      return "excluded on request";
    case Reason::kInt80:
      return "int $0x80, whose calls have numbers of their own, is left alone";
    case Reason::kSysenter:
      return "sysenter, whose calls have numbers of their own, is left alone";
  }
  return "unknown reason";
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_TRAMPOLINE_REASON_H_
