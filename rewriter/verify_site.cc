#include "rewriter/verify_site.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "trampoline/reason.h"
#include "trampoline/stub.h"

namespace sysrewrite {

namespace {

constexpr size_t kJump = 5;  // bytes of a jmp rel32
constexpr std::byte kInt3{0xcc};

class SiteReader {
 public:
  SiteReader(const Evidenced& in, uint32_t index, Findings& findings)
      : in_(in), index_(index), findings_(findings) {
    site_.record = in.file.site(index);
    site_.site = in.file.site_vaddr(site_.record);
    site_.window = in.file.window_vaddr(site_.record);
    site_.end = site_.window + site_.record.window;
    site_.stub = in.file.stub_vaddr(site_.record);
    if (site_.record.springboard != kNoSpringboard)
      site_.springboard = Vaddr{in.file.meta().base_vaddr + site_.record.springboard};
  }

  std::optional<SiteReading> read() {
    if (!read_syscall()) return std::nullopt;
    if (site_.record.tier == Tier::kNative) return check_native();
    if (!read_displaced() || !check_map() || !check_shape()) return std::nullopt;
    return std::move(site_);
  }

 private:
  bool complain(std::string what, std::string found, std::string expected) {
    findings_.at_address(site_.site, std::move(what), std::move(found), std::move(expected));
    return false;
  }

  bool same(size_t field, const char* what, uint64_t found, uint64_t expected) {
    const uint64_t record = in_.file.meta_offset().value + in_.file.meta().sites.offset +
                            uint64_t{index_} * sizeof(SiteRecord);
    return findings_.same_number(record + field, what, found, expected);
  }

  std::optional<Instruction> decode(Vaddr address) {
    const elf::Phdr* load = in_.original.code_around(address, 1);
    if (load == nullptr) return std::nullopt;
    return in_.decoder.decode(in_.original.bytes_from(address), address);
  }

  bool read_syscall() {
    const auto syscall = decode(site_.site);
    if (!syscall || syscall->special != Special::kSyscall)
      return complain("a site of the table", "no syscall instruction in the original", "0f 05");
    site_.syscall = *syscall;
    return true;
  }

  std::optional<SiteReading> check_native() {
    const SiteRecord& r = site_.record;
    same(offsetof(SiteRecord, before), "a native site's window", r.before, 0);
    same(offsetof(SiteRecord, stub), "a native site's stub", r.stub, 0);
    same(offsetof(SiteRecord, springboard), "a native site's springboard", r.springboard,
         kNoSpringboard);
    same(offsetof(SiteRecord, enter), "a native site's entry", r.enter, 0);
    same(offsetof(SiteRecord, displaced), "a native site's displaced instructions", r.displaced, 0);
    same(offsetof(SiteRecord, stub_size), "a native site's stub size", r.stub_size, 0);
    check_reason(30, 46);
    site_.end = site_.syscall.end();
    return std::move(site_);
  }

  bool read_displaced() {
    for (Vaddr at = site_.window; at < site_.end;) {
      if (at == site_.site) {
        at = site_.syscall.end();
        continue;
      }
      const auto in = decode(at);
      const bool before = at < site_.site;
      if (!in || (before && in->end() > site_.site) || in->end() > site_.end)
        return complain("a window", fmt::format("no instruction that fits at {:#x}", at.value),
                        "whole instructions");
      if (!in->movable)
        return complain("a window",
                        fmt::format("`{}` at {:#x}, which cannot run elsewhere",
                                    in_.decoder.format(in_.original.bytes_from(at), at), at.value),
                        "instructions that do the same from another address");
      (before ? site_.before : site_.behind).push_back(*in);
      at = in->end();
    }
    if (site_.syscall.end() > site_.end)
      return complain("a window", "that it ends inside its syscall", "the whole syscall");
    return true;
  }

  // The table by which the runtime translates addresses.
  bool check_map() {
    const SiteRecord& r = site_.record;
    if (!same(offsetof(SiteRecord, displaced), "how many instructions are displaced", r.displaced,
              site_.before.size() + site_.behind.size()))
      return false;
    const unsigned core = core_size();
    unsigned copy = 0;
    uint32_t next = 0;
    bool good = true;
    const auto check = [&](const Instruction& in) {
      const DisplacedRecord record = in_.file.displaced(r, next++);
      const auto original = static_cast<unsigned>(in.address - site_.window);
      if (record.original != original || record.copy != copy)
        good = complain("the map of a displaced instruction",
                        fmt::format("{} -> {}", record.original, record.copy),
                        fmt::format("{} -> {}", original, copy));
      copy += in.length;
    };
    for (const Instruction& in : site_.before) check(in);
    good = same(offsetof(SiteRecord, enter), "a stub's entry", r.enter, copy) && good;
    copy += core;
    for (const Instruction& in : site_.behind) check(in);
    return same(offsetof(SiteRecord, stub_size), "a stub's size", r.stub_size, copy + kJump) &&
           good;
  }

  unsigned core_size() const {
    const uint32_t flags = in_.file.meta().flags;
    return stub_core_size((flags & kMetaPlainStub) != 0 ? StubKind::kPlain : StubKind::kRedzone,
                          (flags & kMetaNativeTail) != 0);
  }

  bool check_reason(unsigned first, unsigned last) {
    const unsigned reason = site_.record.reason;
    if (reason >= first && reason <= last) return true;
    return complain(
        fmt::format("the reason of a site of tier {}", static_cast<char>(site_.record.tier)),
        fmt::format("{}", reason), fmt::format("{} to {}", first, last));
  }

  bool check_shape() {
    if ((site_.record.tier == Tier::kSpringboard) != site_.springboard.has_value())
      return complain("a springboard", site_.springboard ? "one" : "none",
                      "one for each site of tier B and for no other");
    switch (site_.record.tier) {
      case Tier::kInstruction:
        return check_covering() && check_reason(1, 2);
      case Tier::kWindow:
        return check_window();
      case Tier::kSpringboard:
        return check_lone() && check_reason(10, 11);
      case Tier::kTrap:
        return check_lone() && check_reason(30, 46);
      default:
        return complain("the tier of a site",
                        fmt::format("{:#x}", static_cast<unsigned>(site_.record.tier)),
                        "A, B, C, D or N");
    }
  }

  bool check_lone() {
    if (site_.before.empty() && site_.behind.empty()) return true;
    return complain("a window of tier B or D", "displaced instructions", "the syscall alone");
  }

  bool check_covering() {
    const bool good = site_.before.size() == 1 && site_.behind.empty() &&
                      site_.before[0].length >= kJump && site_.before[0].special == Special::kNone;
    if (good) return true;
    return complain("a window of tier A", "another shape",
                    "one instruction of 5 bytes or more, no nop, and the syscall");
  }

  bool check_window() {
    if (site_.record.window < kJump || site_.record.displaced == 0)
      return complain("a window of tier C", fmt::format("{} bytes", site_.record.window),
                      "5 bytes or more, with displaced instructions");
    for (const auto* run : {&site_.before, &site_.behind})
      for (const Instruction& in : *run)
        if (in.moves_stack)
          return complain("a window of tier C",
                          fmt::format("an instruction at {:#x} that moves rsp", in.address.value),
                          "none: unwinders would be misled");
    const unsigned reason = site_.behind.empty() ? 20 : site_.before.empty() ? 22 : 21;
    return check_reason(reason, reason);
  }

  const Evidenced& in_;
  uint32_t index_;
  Findings& findings_;
  SiteReading site_;
};

}  // namespace

std::optional<SiteReading> read_site(const Evidenced& in, uint32_t index, Findings& findings) {
  return SiteReader(in, index, findings).read();
}

void verify_window(const Evidenced& in, const SiteReading& site, Findings& findings) {
  const auto offset = in.file.offset_of(site.window, site.record.window);
  if (!offset) return;  // found when it was put back
  const auto at = static_cast<size_t>(site.site - site.window);
  std::vector<std::byte> expected(site.record.window, kInt3);
  const auto put = [&](size_t where, ByteView bytes) {
    std::copy(bytes.begin(), bytes.end(), expected.begin() + static_cast<std::ptrdiff_t>(where));
  };
  if (site.springboard) {
    const auto jump = make_short_jump(site.window, *site.springboard);
    if (!jump)
      return findings.at_address(site.window, "the short jump of a site",
                                 fmt::format("a springboard at {:#x}", site.springboard->value),
                                 "one within 127 bytes");
    put(0, *jump);
  } else if (site.record.tier == Tier::kTrap) {
    put(0, as_byte_view(kPoison, sizeof(kPoison)));
  } else {
    const auto jump = make_jump(site.window, site.stub);
    if (!jump)
      return findings.at_address(site.window, "the jump of a window",
                                 fmt::format("a stub at {:#x}", site.stub.value),
                                 "one within 2 GiB");
    put(0, *jump);
    if (at >= kJump) put(at, as_byte_view(kPoison, sizeof(kPoison)));
  }
  findings.same_bytes(site.window, "a window", in.output.subspan(offset->value, expected.size()),
                      expected);
}

}  // namespace sysrewrite
