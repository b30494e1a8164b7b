#include "tests/differential/ending.h"

#include <fmt/format.h>

#include <cstring>

#include "tests/differential/cpu.h"

namespace sysrewrite::differential {

namespace {

class Differences {
 public:
  void number(const char* name, uint64_t native, uint64_t patched) {
    if (native != patched) line(name, fmt::format("{:#x}", native), fmt::format("{:#x}", patched));
  }

  void bytes(const std::string& name, const uint8_t* native, const uint8_t* patched, size_t size) {
    if (std::memcmp(native, patched, size) == 0) return;
    line(name, test::to_hex(as_byte_view(native, size)), test::to_hex(as_byte_view(patched, size)));
  }

  // 8 bytes at a time, the first few that differ.
  void memory(const char* name, const Memory& native, const Memory& patched) {
    size_t left = 4;
    for (size_t at = 0; at < kDataSize && left > 0; at += 8) {
      if (std::memcmp(&native[at], &patched[at], 8) == 0) continue;
      bytes(fmt::format("{}+{:#x}", name, at), &native[at], &patched[at], 8);
      --left;
    }
  }

  std::string take() { return std::move(out_); }

 private:
  void line(const std::string& name, const std::string& native, const std::string& patched) {
    out_ +=
        fmt::format("  {:<10} unpatched {}\n  {:<10} patched   {}\n", name, native, "", patched);
  }

  std::string out_;
};

}  // namespace

std::string describe_differences(const Ending& native, const Ending& patched) {
  static constexpr const char* kNames[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                           "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
  Differences out;
  out.number("signal", static_cast<uint64_t>(native.fault.signal),
             static_cast<uint64_t>(patched.fault.signal));
  out.number("si_code", static_cast<uint32_t>(native.fault.code),
             static_cast<uint32_t>(patched.fault.code));
  out.number("si_addr", native.fault.address, patched.fault.address);
  out.number("rip", native.fault.rip, patched.fault.rip);
  out.number("error code", native.fault.error, patched.fault.error);
  out.number("trap", native.fault.trap, patched.fault.trap);
  for (size_t i = 0; i < 16; ++i)
    out.number(kNames[i], native.state.registers[i], patched.state.registers[i]);
  out.number("flags", native.state.flags, patched.state.flags);
  out.number("mxcsr", native.state.mxcsr, patched.state.mxcsr);
  const bool wide = vector_width() == 2;
  for (size_t i = 0; i < 32; ++i)
    out.bytes(fmt::format("{}mm{}", wide ? 'z' : 'y', i), native.state.vectors[i],
              patched.state.vectors[i], wide ? 64 : 32);
  for (size_t i = 0; i < 8; ++i)
    out.number(fmt::format("k{}", i).c_str(), native.state.masks[i], patched.state.masks[i]);
  out.memory("data", native.data, patched.data);
  out.memory("stack", native.stack, patched.stack);
  out.number("steps back", native.fuel, patched.fuel);
  return out.take();
}

}  // namespace sysrewrite::differential
