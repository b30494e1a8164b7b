#include "trampoline/stub.h"

#include "trampoline/layout.h"

// A stub, whole:
//
//     stub:     <displaced instructions before the syscall, re-encoded>
//     enter:    the core, below
//     done:     <displaced instructions behind the syscall>
//               jmp <window's end>
//
// Contract of the core (redzone):
//   in       every register and flag is the program's
//   to slot  rsp is 128 lower; rcx = resume; r11 = enter, from where exactly this call is issued
//            again once rsp is the program's; all else, flags too, the program's
//   resume   entered by the callback with rax = result, rsp the program's, r11 = flags
//   tail     entered by the callback instead, with rsp still 128 lower and all but rcx and r11 the
//            program's: the call goes to the kernel from here, so no state lies on any stack
//   out      rcx = address behind the original syscall, as the kernel leaves it; flags untouched
//
// `lea` throughout, since it leaves the flags alone. resume directly follows the indirect jump, so
// that rcx - 6 is that jump: a contract of LiteBox callbacks.

namespace sysrewrite {

namespace {

// Writes rows of bytes and remembers where each hole lies.
class Listing {
 public:
  Listing(StubCore& core, Vaddr start) : core_(core), start_(start) {}

  template <typename... Byte>
  void row(Byte... bytes) {
    ((core_.bytes[core_.size++] = static_cast<std::byte>(bytes)), ...);
  }

  // A 32-bit hole at the end of the row just written, relative to the instruction's end.
  void rel32_to(Vaddr target) {
    const auto rel = Rel32::between(start_ + core_.size + 4, target);
    reachable_ = reachable_ && rel.has_value();
    const uint32_t value = rel ? static_cast<uint32_t>(rel->value) : 0;
    row(value & 0xff, value >> 8 & 0xff, value >> 16 & 0xff, value >> 24 & 0xff);
  }

  Vaddr here() const { return start_ + core_.size; }
  bool reachable() const { return reachable_; }

 private:
  StubCore& core_;
  Vaddr start_;
  bool reachable_ = true;
};

constexpr uint8_t kRedZoneDisp8 = static_cast<uint8_t>(-SYSREWRITE_RED_ZONE);
constexpr uint8_t kTailSize[2] = {9, 17};  // plain, redzone: syscall, lea rcx, and lea rsp

void emit_tail(Listing& out, StubKind kind, Vaddr after_syscall) {
  if (kind == StubKind::kRedzone)
    out.row(0x48, 0x8d, 0xa4, 0x24, SYSREWRITE_RED_ZONE, 0, 0, 0);  // lea 0x80(%rsp), %rsp
  out.row(0x0f, 0x05);                                              // syscall
  out.row(0x48, 0x8d, 0x0d), out.rel32_to(after_syscall);           // lea after(%rip), %rcx
}

}  // namespace

uint8_t stub_core_size(StubKind kind, bool native_tail) {
  const int entry = kind == StubKind::kRedzone ? SYSREWRITE_RESTART_BEFORE_RESUME : 13;
  const int tail = native_tail ? 2 + kTailSize[kind == StubKind::kRedzone] : 7;
  return static_cast<uint8_t>(entry + tail);
}

std::optional<StubCore> make_stub_core(StubKind kind, bool native_tail, Vaddr enter, Vaddr slot,
                                       Vaddr after_syscall) {
  StubCore core;
  Listing out(core, enter);
  const bool redzone = kind == StubKind::kRedzone;
  const Vaddr resume = enter + (redzone ? SYSREWRITE_RESTART_BEFORE_RESUME : 13);
  if (redzone) out.row(0x48, 0x8d, 0x64, 0x24, kRedZoneDisp8);  // lea -0x80(%rsp), %rsp
  out.row(0x48, 0x8d, 0x0d), out.rel32_to(resume);              // lea resume(%rip), %rcx
  if (redzone) out.row(0x4c, 0x8d, 0x1d), out.rel32_to(enter);  // lea enter(%rip), %r11
  out.row(0xff, 0x25), out.rel32_to(slot);                      // jmp *slot(%rip)
  core.resume = core.size;
  if (native_tail) {
    const uint8_t to_lea = kTailSize[redzone] - 7;
    out.row(0xeb, to_lea);                // resume: jmp over the syscall
    emit_tail(out, kind, after_syscall);  // tail:
  } else {
    out.row(0x48, 0x8d, 0x0d), out.rel32_to(after_syscall);  // resume: lea after(%rip), %rcx
  }
  if (!out.reachable()) return std::nullopt;
  return core;
}

std::optional<std::array<std::byte, 5>> make_jump(Vaddr from, Vaddr to) {
  const auto rel = Rel32::between(from + 5, to);
  if (!rel) return std::nullopt;
  std::array<std::byte, 5> bytes{std::byte{0xe9}};
  std::memcpy(bytes.data() + 1, &rel->value, 4);
  return bytes;
}

std::optional<std::array<std::byte, 2>> make_short_jump(Vaddr from, Vaddr to) {
  const auto rel = Rel8::between(from + 2, to);
  if (!rel) return std::nullopt;
  return std::array{std::byte{0xeb}, static_cast<std::byte>(rel->value)};
}

}  // namespace sysrewrite
