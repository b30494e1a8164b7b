#include "tests/disassembly.h"

#include <cstdlib>
#include <sstream>

namespace sysrewrite::test {

// "  401000:\tb8 27 00 00 00       \tmov    $0x27,%eax"; long instructions go on without a text.
std::map<uint64_t, Line> disassemble(const std::string& path) {
  std::istringstream in(output_of("/usr/bin/objdump -dw " + path));
  std::map<uint64_t, Line> lines;
  for (std::string row; std::getline(in, row);) {
    const size_t colon = row.find(":\t");
    if (colon == std::string::npos || row[0] != ' ') continue;
    const uint64_t address = std::strtoull(row.c_str(), nullptr, 16);
    const size_t bytes = colon + 2;
    const size_t text = row.find('\t', bytes);
    Line line;
    for (size_t at = bytes; at + 1 < std::min(text, row.size()) && row[at] != ' '; at += 3)
      ++line.length;
    if (text != std::string::npos) line.text = row.substr(text + 1);
    lines[address] = std::move(line);
  }
  return lines;
}

}  // namespace sysrewrite::test
