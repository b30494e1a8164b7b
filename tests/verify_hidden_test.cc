// verify looks for what leads into a patch without being a branch or a pointer.
#include <gtest/gtest.h>

#include "tests/rewritten_samples.h"
#include "tests/verdicts.h"

namespace sysrewrite {

namespace {

using namespace test;

const Bytes kTwo = hex("48 89 fe 89 d0");  // mov %rdi, %rsi; mov %edx, %eax
const Bytes kCallAndRet = hex("0f 05 c3");
constexpr uint64_t kTable = 0x403000, kLsda = 0x405000;

// f: lea table(%rip), %rcx; nop; a window of tier C; movslq (%rcx,%rdi,4), %rax; add %rcx, %rax;
// jmp *%rax. Known by a symbol or by nothing.
Whole with_table(std::initializer_list<int32_t> entries, bool symbol) {
  const Bytes code = repeat(0x50, 200) + hex("48 8d 0d") +
                     bytes_of(static_cast<int32_t>(kTable - (kCode + 207))) + hex("90") + kTwo +
                     hex("0f 05 48 63 04 b9 48 01 c8 ff e0 c3 c3");
  Bytes table;
  for (const int32_t entry : entries) table = std::move(table) + bytes_of(entry);
  ElfBuilder file = ElfBuilder(elf::kTypeDyn)
                        .code(kCode, code)
                        .segment(kTable, table, elf::kFlagRead)
                        .entry(kCode);
  if (symbol) file.symbol("f", kCode, code.size());
  return rewrite_whole(file.build());
}

// From the table to a place of the window.
constexpr int32_t kWindow = static_cast<int32_t>(kCode + 208) - static_cast<int32_t>(kTable);

TEST(VerifyHidden, SeesADistanceInATableThatLeadsIntoAWindow) {
  for (const bool symbol : {true, false}) {
    const Whole whole = with_table({kWindow - 8, kWindow + 14, kWindow}, symbol);
    ASSERT_EQ(whole.report.sites.at(0).tier, Tier::kWindow) << symbol;
    ASSERT_EQ(whole.report.sites[0].window.value, kCode + 208);
    EXPECT_EQ(verdict(whole.output), "proven");
    const auto leads_to = [&](size_t entry, int32_t distance) {
      return finds(with_code(whole, kTable + 4 * entry, bytes_of(distance)),
                   "a distance in a table: found that it leads to");
    };
    EXPECT_TRUE(leads_to(0, kWindow + 1)) << symbol;  // behind a prefix
    EXPECT_TRUE(leads_to(1, kWindow + 3)) << symbol;
    EXPECT_FALSE(leads_to(2, kWindow + 4)) << symbol;  // inside an instruction
    EXPECT_FALSE(leads_to(2, kWindow)) << symbol;
    EXPECT_FALSE(leads_to(2, kWindow + 5)) << symbol;  // the poison, behind the jump
  }
}

TEST(VerifyHidden, ReadsATableNoFurtherThanItsEntriesLeadIntoCode) {
  const Whole whole = with_table({kWindow, 0x7a7a7a7a, kWindow + 3}, true);
  ASSERT_EQ(whole.report.sites.at(0).tier, Tier::kWindow);
  EXPECT_EQ(verdict(whole.output), "proven");
}

// The function's call sites: start, length, pad (from the function), action.
Whole with_pads(const Bytes& call_sites, const Bytes& code = kTwo + kCallAndRet) {
  const Bytes frames = eh_frame(kTable, {{kCode, code.size(), kLsda}});
  const Bytes lsda =
      hex("ff ff 01") + bytes_of(static_cast<uint8_t>(call_sites.size())) + call_sites;
  return rewrite_whole(ElfBuilder()
                           .code(kCode, code)
                           .segment(kTable, frames, elf::kFlagRead)
                           .segment(kLsda, lsda, elf::kFlagRead)
                           .section(".eh_frame", 1, 2, kTable, frames.size())
                           .build());
}

TEST(VerifyHidden, SeesALandingPadInAWindow) {
  const Whole whole = with_pads(hex("00 01 00 00  01 02 07 01"));
  ASSERT_EQ(whole.report.sites.at(0).tier, Tier::kWindow);
  EXPECT_EQ(verdict(whole.output), "proven");
  const auto leads_to = [&](uint8_t pad) {
    return finds(with_code(whole, kLsda + 4 + 6, Bytes{std::byte{pad}}),
                 "a landing pad of a function: found that it leads to 0x401003");
  };
  EXPECT_TRUE(leads_to(3));
  EXPECT_FALSE(leads_to(0));  // none
  EXPECT_FALSE(leads_to(5));  // the poison, behind the jump
  EXPECT_FALSE(leads_to(7));
}

TEST(VerifyHidden, SeesLandingPadsThatCannotBeRead) {
  const Whole whole = with_pads(hex("00 01 00 00  01 02 07 01"));
  // The last action goes on.
  EXPECT_TRUE(finds(with_code(whole, kLsda + 4 + 7, hex("80")),
                    "a function whose landing pads cannot be read"));
}

// push, pop; mov %edx, %eax; the call, nops behind its ret, and the pad behind them.
TEST(VerifyHidden, SeesASpringboardWhereLandingPadsCannotBeRead) {
  const Whole whole = with_pads(hex("00 01 10 00  01 02 10 01"),
                                hex("50 58 89 d0 0f 05 c3") + repeat(0x90, 9) + hex("c3"));
  ASSERT_EQ(whole.report.sites.at(0).tier, Tier::kSpringboard);
  EXPECT_EQ(verdict(whole.output), "proven");
  EXPECT_TRUE(finds(with_code(whole, kLsda + 4 + 7, hex("80")),
                    "a springboard: found a function whose landing pads cannot be read"));
}

}  // namespace

}  // namespace sysrewrite
