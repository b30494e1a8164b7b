// What verify says of an output, and outputs forged for it to see.
#ifndef SYSREWRITE_TESTS_VERDICTS_H_
#define SYSREWRITE_TESTS_VERDICTS_H_

#include <string>

#include "rewriter/verify.h"
#include "tests/rewrites.h"

namespace sysrewrite::test {

// The first finding, or "proven".
std::string verdict(const Bytes& output, std::optional<ByteView> original = std::nullopt);

// True where one of the findings holds these words.
bool finds(const Bytes& output, const std::string& words);

uint64_t offset_of(const Whole& whole, uint64_t address);

// The bytes at an address of the output, changed where no checksum covers them.
Bytes with_code(const Whole& whole, uint64_t address, const Bytes& code);

// As if it had been written for `other`, an input of the same size: what no checksum covers.
Bytes with_input(const Whole& whole, const Bytes& other);

}  // namespace sysrewrite::test

#endif  // SYSREWRITE_TESTS_VERDICTS_H_
