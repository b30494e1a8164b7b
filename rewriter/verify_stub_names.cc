#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "rewriter/verify_symbols.h"

namespace sysrewrite {

namespace {

struct Label {
  uint64_t address, size;
  ByteView names;
  uint32_t name;
};

// Every symbol that could name code. Of a table without section headers nobody says where it ends;
// what stands behind it names nothing that a stub would be called after.
class Labels {
 public:
  explicit Labels(const OriginalImage& original) {
    const std::vector<elf::Shdr> sections = original_sections(original);
    for (const elf::Shdr& section : sections) {
      if (section.type != elf::kShtSymtab && section.type != elf::kShtDynsym) continue;
      if (section.link >= sections.size()) continue;
      add(original_bytes(original, section), original_bytes(original, sections[section.link]));
    }
    const auto symbols = original.dynamic(elf::kDtSymtab), names = original.dynamic(elf::kDtStrtab);
    if (symbols && names) add(original.bytes_from({*symbols}), original.bytes_from({*names}));
    std::sort(labels_.begin(), labels_.end(),
              [](const Label& a, const Label& b) { return a.address < b.address; });
  }

  // True where a symbol of this name, a version aside, starts at the site or before, and does not
  // end before it.
  bool names_site(uint64_t site, const std::string& name) const {
    auto at = std::upper_bound(labels_.begin(), labels_.end(), site,
                               [](uint64_t a, const Label& label) { return a < label.address; });
    // Nobody names a site after a symbol much further away, and a hostile table has millions.
    for (int steps = 0; at != labels_.begin() && steps < 4096; ++steps) {
      const Label& label = *--at;
      if (label.size != 0 && site - label.address >= label.size) continue;
      if (is(label, name)) return true;
    }
    return false;
  }

 private:
  void add(ByteView symbols, ByteView names) {
    for (uint64_t at = 0; range_fits(at, sizeof(elf::Sym), symbols.size());
         at += sizeof(elf::Sym)) {
      const auto symbol = *load<elf::Sym>(symbols, at);
      const uint8_t type = symbol.info & 0xf;
      const bool code =
          type == elf::kSttFunc || type == elf::kSttGnuIfunc || type == elf::kSttNotype;
      if (code && symbol.shndx != 0 && symbol.value != 0)
        labels_.push_back({symbol.value, symbol.size, names, symbol.name});
    }
  }

  static bool is(const Label& label, const std::string& name) {
    const auto bytes = slice(label.names, label.name, name.size() + 1);
    if (!bytes || std::memcmp(bytes->data(), name.data(), name.size()) != 0) return false;
    return bytes->back() == std::byte{0} || bytes->back() == std::byte{'@'};
  }

  std::vector<Label> labels_;
};

}  // namespace

void verify_stub_names(const Evidenced& in, const std::vector<SiteReading>& sites,
                       const std::vector<std::string>& names, uint64_t where, Findings& findings) {
  static const std::string kMark = ".syscall_";
  const Labels labels(in.original);
  // The function, where the name says one: up to the last mark.
  const auto function_of = [](const std::string& name) {
    const size_t mark = name.rfind(kMark);
    return mark == std::string::npos ? std::string() : name.substr(0, mark);
  };
  std::map<std::string, size_t> seen;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string function = function_of(names[i]);
    std::string expected = fmt::format("syscall_{:x}", sites[i].site.value);
    bool good = function.empty();
    if (!good) {
      expected = fmt::format("{}{}{}", function, kMark, ++seen[function]);
      good = labels.names_site(sites[i].site.value, function);
    }
    if (!good || names[i] != expected)
      findings.at_offset(where, fmt::format("the name of the stub at {:#x}", sites[i].stub.value),
                         hex_text(as_byte_view(names[i].data(), names[i].size())),
                         good ? expected : "the name of a function around the site");
    where += names[i].size() + 1;
  }
}

}  // namespace sysrewrite
