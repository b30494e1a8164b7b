// The door to Zydis: machine code in, the few facts that the rewriter decides on out.
#ifndef SYSREWRITE_REWRITER_DECODER_H_
#define SYSREWRITE_REWRITER_DECODER_H_

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rewriter/step.h"
#include "trampoline/address.h"
#include "trampoline/bytes.h"

namespace sysrewrite {

enum class Flow : uint8_t {
  kFallsThrough,
  kCall,          // comes back, or not: what follows a call may be reached
  kConditional,   // falls through or goes to `target`
  kJump,          // direct, to `target`
  kIndirectJump,  // through a register or memory
  kReturn,
  kTrap,  // int3, ud2, hlt, icebp: nothing runs on behind it
};

// kSled: a nop that LLVM leaves to be written over (XRay, patchable entries, patchpoints), told by
// its displacement of 8 or 512, which padding does not have.
enum class Special : uint8_t { kNone, kSyscall, kSysenter, kInt80, kNop, kEndbr, kInt3, kSled };

struct Instruction {
  Vaddr address;
  Vaddr target;              // of a direct branch or call, or of a RIP-relative operand
  uint8_t length = 0;        // bytes
  uint8_t displacement = 0;  // offset of the disp32 of a RIP-relative operand; 0: has none
  uint8_t prefixes = 0;      // legacy prefixes and REX in front of the opcode
  // Offsets of an absolute displacement and of an immediate that have 32 bits or more; 0: has none.
  std::array<uint8_t, 2> constants{};
  Flow flow = Flow::kFallsThrough;
  Special special = Special::kNone;
  bool direct = false;         // `target` is a branch target
  bool movable = false;        // does the same from another address, once the disp32 is mended
  bool moves_stack = false;    // changes rsp: an unwinder inside the stub would be misled
  bool takes_address = false;  // lea of a RIP-relative address: `target` may be a table, or a label
  bool unlikely = false;       // privileged or obsolete: compilers do not emit it
  bool zeros = false;          // two zero bytes, add %al, (%rax): data, or padding of a kind
  bool writes_rax = false;     // al, ax, eax or rax is its first, written operand
  bool widens_rax = false;     // movzx of al or ax into eax: of what stands there already
  bool passes_fourth =
      false;                 // mov of a register into r10, where a system call has its 4th argument
  bool constant_al = false;  // mov of a constant into al, the rest of rax stays
  int32_t rax_value = -1;    // what it puts there, where that is a small constant
  bool reached = false;      // control flow from a known start leads here (set by CodeReader)
  bool behind_call = false;  // ... but only where a call comes back (likewise)

  Vaddr end() const { return address + length; }
  bool falls_through() const {
    return flow == Flow::kFallsThrough || flow == Flow::kCall || flow == Flow::kConditional;
  }
  bool rip_relative() const { return displacement != 0; }
};

// Of any instruction that programs read constants with: a vector of 512 bits.
inline constexpr uint64_t kWidestAccess = 64;

// Thread safe: decode() and format() only read.
class Decoder {
 public:
  Decoder();
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  // The instruction that starts at bytes[0], which lies at `address`; nothing where these bytes are
  // no instruction, or where it would leave the buffer.
  std::optional<Instruction> decode(ByteView bytes, Vaddr address) const;

  // How many bytes it reads or writes by its RIP-relative operand; 0 where it has none, or only
  // takes the address (lea) or ignores it (nop). One whose size nothing tells (xsave) has the
  // widest.
  uint64_t accessed_bytes(ByteView bytes) const;

  // Its length and where it leads: what decode() says, many times faster.
  std::optional<Step> step(ByteView bytes) const;

  // Decodes from bytes[0] to the end of the buffer or to the first byte that is no instruction.
  std::vector<Instruction> decode_all(ByteView bytes, Vaddr address) const;

  // AT&T syntax, as objdump prints it.
  std::string format(ByteView bytes, Vaddr address) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_DECODER_H_
