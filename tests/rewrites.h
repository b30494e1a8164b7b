// A rewrite as tests look at it: report, the whole output, and what the trailer says of it.
#ifndef SYSREWRITE_TESTS_REWRITES_H_
#define SYSREWRITE_TESTS_REWRITES_H_

#include <gtest/gtest.h>

#include "rewriter/pipeline.h"
#include "tests/elf_builder.h"
#include "trampoline/rewritten_file.h"

namespace sysrewrite::test {

struct Whole {
  Bytes input;
  Bytes output;
  Report report;
  RewrittenFile file;  // of `output`, which moving keeps alive
};

// Rewrites and checks what holds for every output: the trailer is valid and the checksum right.
// A failure of the rewrite is a failure of the test, with its message, and returns an empty Whole.
Whole rewrite_whole(Bytes input, const Options& options = {});

// The error of a rewrite that must fail; one with an empty message where it did not.
Error rewrite_error(const Bytes& input, const Options& options = {});

// "A 401000+7 1: springboard 401020", what a test compares: tier, window, reason, springboard.
std::string describe(const SiteReport& site);
// All sites, a line each.
std::string describe(const Report& report);

// Bytes of the output at an address of the image.
ByteView output_at(const Whole& whole, uint64_t address, uint64_t size);
// The bytes of a site's stub.
ByteView stub_of(const Whole& whole, size_t index);

}  // namespace sysrewrite::test

#endif  // SYSREWRITE_TESTS_REWRITES_H_
