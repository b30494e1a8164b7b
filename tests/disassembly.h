// GNU objdump's reading of a file, the independent witness of what bytes mean.
#ifndef SYSREWRITE_TESTS_DISASSEMBLY_H_
#define SYSREWRITE_TESTS_DISASSEMBLY_H_

#include <map>
#include <string>

#include "tests/sample_files.h"

namespace sysrewrite::test {

struct Line {
  unsigned length = 0;  // bytes
  std::string text;     // mnemonic and operands, as printed
};

// address -> instruction, of every section with code. objdump begins anew at each symbol.
std::map<uint64_t, Line> disassemble(const std::string& path);

}  // namespace sysrewrite::test

#endif  // SYSREWRITE_TESTS_DISASSEMBLY_H_
