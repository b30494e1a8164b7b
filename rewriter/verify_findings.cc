#include "rewriter/verify_findings.h"

#include <fmt/format.h>

#include <algorithm>

namespace sysrewrite {

std::string describe(const Finding& finding) {
  const char* space = finding.space == Finding::Space::kFile ? "file offset" : "address";
  return fmt::format("{} {:#x}: {}: found {}, expected {}", space, finding.where, finding.what,
                     finding.found, finding.expected);
}

std::string hex_text(ByteView bytes) {
  constexpr size_t kMost = 16;
  std::string out;
  for (const std::byte byte : bytes.first(std::min(bytes.size(), kMost)))
    out += fmt::format("{}{:02x}", out.empty() ? "" : " ", std::to_integer<unsigned>(byte));
  return bytes.size() > kMost ? out + " ..." : out;
}

void Findings::at_offset(uint64_t offset, std::string what, std::string found,
                         std::string expected) {
  add({Finding::Space::kFile, offset, std::move(what), std::move(found), std::move(expected)});
}

void Findings::at_address(Vaddr address, std::string what, std::string found,
                          std::string expected) {
  add({Finding::Space::kAddress, address.value, std::move(what), std::move(found),
       std::move(expected)});
}

bool Findings::same_number(uint64_t offset, const char* what, uint64_t found, uint64_t expected) {
  if (found == expected) return true;
  at_offset(offset, what, fmt::format("{:#x}", found), fmt::format("{:#x}", expected));
  return false;
}

bool Findings::same_bytes(Vaddr address, const char* what, ByteView found, ByteView expected) {
  if (std::equal(found.begin(), found.end(), expected.begin(), expected.end())) return true;
  at_address(address, what, hex_text(found), hex_text(expected));
  return false;
}

bool Findings::zeros(ByteView file, uint64_t from, uint64_t to, const char* what) {
  const auto gap = slice(file, from, to >= from ? to - from : 0);
  if (!gap) return true;  // that the gap leaves the file is another check's finding
  const auto bad =
      std::find_if(gap->begin(), gap->end(), [](std::byte b) { return b != std::byte{0}; });
  if (bad == gap->end()) return true;
  at_offset(from + static_cast<uint64_t>(bad - gap->begin()), what,
            fmt::format("{:02x}", std::to_integer<unsigned>(*bad)), "00");
  return false;
}

void Findings::add(Finding finding) {
  constexpr size_t kMost = 1000;
  if (++count_ <= kMost) first_.push_back(std::move(finding));
}

}  // namespace sysrewrite
