#include "rewriter/stub_writer.h"

#include <cstdlib>

namespace sysrewrite {

namespace {

constexpr std::byte kInt3{0xcc};

// What the plan promised must hold here; an output that breaks the promise must not be written.
template <typename T>
const T& promised(const std::optional<T>& value) {
  if (!value) std::abort();
  return *value;
}

void append(std::vector<std::byte>& out, ByteView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// The instruction's own bytes, with the displacement of a RIP-relative operand counted from its new
// place. Nothing else of an instruction that is movable depends on its address.
void append_displaced(const ElfImage& image, const Instruction& in, Vaddr stub,
                      std::vector<std::byte>& out) {
  const size_t at = out.size();
  append(out, image.bytes_from(in.address)->first(in.length));
  if (!in.rip_relative()) return;
  const Rel32 rel = promised(Rel32::between(stub + at + in.length, in.target));
  std::memcpy(out.data() + at + in.displacement, &rel.value, sizeof(rel.value));
}

}  // namespace

StubBytes write_stub(const ElfImage& image, const StubPlace& place, Vaddr trampoline,
                     const Options& options) {
  const PlannedSite& planned = *place.planned;
  const Vaddr stub = trampoline + place.offset.value;
  const auto* jump = std::get_if<WindowJump>(&planned.fate);
  StubBytes out;
  const auto displace = [&](const std::vector<Instruction>& run) {
    for (const Instruction& in : run) {
      out.displaced.push_back({static_cast<uint8_t>(in.address - planned.window()),
                               static_cast<uint8_t>(out.bytes.size())});
      append_displaced(image, in, stub, out.bytes);
    }
  };
  if (jump != nullptr) displace(jump->before);
  const StubCore core =
      promised(make_stub_core(options.stub, options.native_tail, stub + out.bytes.size(),
                              trampoline, planned.site->instruction.end()));
  append(out.bytes, ByteView(core.bytes).first(core.size));
  if (jump != nullptr) displace(jump->behind);
  const Vaddr back = planned.window() + planned.window_size();
  append(out.bytes, promised(make_jump(stub + out.bytes.size(), back)));
  if (out.bytes.size() != place.size) std::abort();
  return out;
}

std::vector<std::byte> write_window(const StubPlace& place, Vaddr trampoline) {
  const PlannedSite& planned = *place.planned;
  const Vaddr window = planned.window();
  const Vaddr stub = trampoline + place.offset.value;
  const auto site = static_cast<size_t>(planned.site->instruction.address - window);
  std::vector<std::byte> out(planned.window_size(), kInt3);
  const auto put = [&out](size_t at, ByteView bytes) {
    std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
  };
  // Poison first: where the jump reaches over the syscall's bytes it has the last word.
  if (!std::holds_alternative<SpringboardJump>(planned.fate)) put(site, as_byte_view(kPoison, 2));
  if (std::holds_alternative<WindowJump>(planned.fate)) {
    put(0, promised(make_jump(window, stub)));
    if (site < 5 && site + 2 > 5) out[site + 1] = kInt3;  // half a poison is none
  }
  if (const auto* board = std::get_if<SpringboardJump>(&planned.fate))
    put(0, promised(make_short_jump(window, board->springboard)));
  return out;
}

std::vector<std::byte> write_springboard(Vaddr springboard, const StubPlace& place,
                                         Vaddr trampoline) {
  const auto jump = promised(make_jump(springboard, trampoline + place.offset.value));
  return {jump.begin(), jump.end()};
}

}  // namespace sysrewrite
