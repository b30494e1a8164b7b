// Plans of sites that concern each other, relocations and options. A file for each of the tiers:
// plan_tier_*_test.cc.
#include "rewriter/plan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/plans.h"

namespace sysrewrite {

namespace {

using namespace test;

TEST(Plan, LeavesASyscallNativeThatAnInstructionReads) {
  // movzwl 40100c(%rip), %esi
  EXPECT_EQ(plan_of(hex("0f b7 35 05 00 00 00") + kMov + kSyscall + kRet),
            std::string("40100c N 40100c+0: ") + kData);
}

// Where a branch leads behind a prefix of the syscall, no patch serves both ways, nor does a trap.
TEST(Plan, LeavesASyscallNativeThatABranchEntersBehindItsPrefix) {
  for (const char* prefix : {"66", "48", "f3"}) {
    const Bytes call = hex(prefix) + kSyscall;
    const auto code = [&](const char* branch) { return hex(branch) + kMov + call + kRet; };
    EXPECT_EQ(plan_of(padded(code("74 06"))),
              "401007 N 401007+0: a branch may go into the window\n");
    EXPECT_EQ(plan_of(code("74 06")), "401007 N 401007+0: a branch may go into the window\n");
    EXPECT_EQ(plan_of(padded(code("74 05"))).substr(0, 24), "401007 B 401007+3 by 401");
    EXPECT_EQ(plan_of(code("74 00")), std::string("401007 A 401002+8: ") + kA);
  }
}

// The same of who comes by an address that data holds, that a lea takes, or that a table leads to.
TEST(Plan, LeavesASyscallNativeThatAnAddressEntersBehindItsPrefix) {
  const auto pointing = [](const ElfBuilder& file, uint64_t target) {
    return plan_of(ElfBuilder(file).data(0x403000, words({target})));
  };
  constexpr char kPointer[] = "data may hold a pointer into the window\n";
  for (const char* prefixes : {"f3", "48", "66 f3"}) {
    const Bytes call = hex(prefixes) + kSyscall;
    const uint64_t last = call.size() - 2;
    for (const Bytes& before : {kShort, kMov}) {
      const ElfBuilder file = padded(before + call + kRet), bare = code_file(before + call + kRet);
      const uint64_t at = kCode + before.size();
      EXPECT_EQ(pointing(file, at + last), fmt::format("{:x} N {:x}+0: {}", at, at, kPointer));
      EXPECT_EQ(pointing(bare, at + last), fmt::format("{:x} N {:x}+0: {}", at, at, kPointer));
      EXPECT_EQ(pointing(bare, at + last + 1), plan_of(bare));
    }
    // A pointer to the whole instruction is served by whatever stands there.
    EXPECT_EQ(pointing(padded(kShort + call + kRet), kCode + 3).substr(0, 8), "401003 B");
    EXPECT_EQ(pointing(code_file(kMov + call + kRet), kCode + 5).substr(0, 8), "401005 A");
  }
  // lea 40100a(%rip), %rcx
  EXPECT_EQ(plan_of(padded(hex("48 8d 0d 04 00 00 00 6a 27 58 f3") + kSyscall + kRet)),
            "40100a N 40100a+0: a jump table or landing pad leads into the window\n");
}

TEST(Plan, TreatsTwoSitesNextToEachOther) {
  EXPECT_EQ(plan_of(kMov + kSyscall + kSyscall + hex("48 89 c1") + kRet),
            std::string("401005 A 401000+7: ") + kA + "401007 C 401007+5: " + kBehind);
}

TEST(Plan, LetsCheapPatchesTakeTheirBytesFirst) {
  // The first site's only window would hold the mov that the second one covers.
  EXPECT_EQ(plan_of(kSyscall + kMov + kSyscall + kRet),
            std::string("401000 D 401000+2: another site's patch needs the same bytes\n") +
                "401007 A 401002+7: " + kA);
}

// --- Segments that adjoin
// -----------------------------------------------------------------------------------

// The code in two segments, of which the second one begins `cut` bytes behind the first.
ElfBuilder in_two(const Bytes& code, size_t cut) {
  const auto middle = code.begin() + static_cast<std::ptrdiff_t>(cut);
  return ElfBuilder()
      .code(kCode, Bytes(code.begin(), middle))
      .code(kCode + cut, Bytes(middle, code.end()))
      .symbol("f", kCode, code.size());
}

TEST(PlanSegments, KnowABranchThatLiesInTwo) {
  // xor %esi, %esi; mov %ebx, %eax; syscall; ud2; jmp 401002
  const Bytes code = hex("31 f6 89 d8 0f 05 0f 0b e9 f5 ff ff ff");
  ASSERT_EQ(plan_of(hex("31 f6 89 d8 48 0f 05 0f 0b")).substr(0, 8), "401004 C");
  for (size_t cut = 8; cut < code.size(); ++cut)
    EXPECT_EQ(plan_of(in_two(code, cut)), "401004 D 401004+2: a branch may go into the window\n")
        << cut;
}

TEST(PlanSegments, KnowAnOperandThatLiesInTwo) {
  // movzwl 40100c(%rip), %esi
  const Bytes code = hex("0f b7 35 05 00 00 00") + kMov + kSyscall + kRet;
  for (size_t cut = 1; cut < 7; ++cut)
    EXPECT_EQ(plan_of(in_two(code, cut)), std::string("40100c N 40100c+0: ") + kData) << cut;
}

TEST(PlanSegments, KnowAPointerThatLiesInTwo) {
  const Bytes code = hex("48 89 fe 89 d0") + kSyscall + kRet, pointer = words({kCode + 3});
  ASSERT_EQ(plan_of(code).substr(0, 8), "401005 C");
  for (size_t cut = 1; cut < 4; ++cut) {
    const auto middle = pointer.begin() + static_cast<std::ptrdiff_t>(cut);
    const ElfBuilder file = code_file(code)
                                .data(0x403000, Bytes(pointer.begin(), middle))
                                .data(0x403000 + cut, Bytes(middle, pointer.end()));
    EXPECT_EQ(plan_of(file), "401005 D 401005+2: data may hold a pointer into the window\n") << cut;
  }
}

// Neither window nor springboard, since one program header names each.
TEST(PlanSegments, HaveNoPatchThatLiesInTwo) {
  const Bytes code = kMov + kSyscall + kRet + repeat(0x90, 8);
  for (const size_t cut : {size_t{1}, size_t{4}})
    EXPECT_EQ(plan_of(in_two(code, cut)), std::string("401005 B 401005+2 by 401008: ") + kB);
  EXPECT_EQ(plan_of(in_two(code, 5)), std::string("401005 B 401005+2 by 401008: ") + kB);
  EXPECT_EQ(plan_of(in_two(code, 10)), std::string("401005 A 401000+7: ") + kA);
  const Bytes sprung = kShort + kSyscall + kRet + repeat(0x90, 10);
  EXPECT_EQ(plan_of(in_two(sprung, 8)), std::string("401003 B 401003+2 by 401008: ") + kB);
  // A prefix on the other side: named as uncertain, as a pair is that lies in two.
  EXPECT_EQ(plan_of(in_two(kMov + hex("f3") + kSyscall + kRet, 6)), "");
}

// --- Relocations
// -----------------------------------------------------------------------------------

// A relocation of the word at `place`, by a RELA entry with the given addend.
ElfBuilder relocated(const Bytes& code, uint64_t place, uint64_t addend,
                     uint32_t type = elf::kRRelative) {
  return padded(code)
      .data(0x403000, words({place, type, addend}))
      .dynamic(0x405000, {{elf::kDtRela, 0x403000}, {elf::kDtRelasz, 24}});
}

// ld.so reads the table that the last DT_RELA names: mov %rdi, %rsi; mov %edx, %eax.
TEST(PlanRelocations, AreThoseOfTheLastTable) {
  const auto file = [](uint64_t first, uint64_t last) {
    return ElfBuilder(elf::kTypeDyn)
        .code(kCode, hex("48 89 fe 89 d0") + kSyscall + kRet)
        .symbol("f", kCode, 8)
        .data(0x403000, words({0x404000, elf::kRRelative, kCode + 3}))
        .data(0x405000, words({0x404000, elf::kRRelative, kCode}))
        .dynamic(0x407000, {{elf::kDtRela, first}, {elf::kDtRelasz, 24}, {elf::kDtRela, last}});
  };
  EXPECT_EQ(plan_of(file(0x405000, 0x403000)),
            "401005 D 401005+2: data may hold a pointer into the window\n");
  EXPECT_EQ(plan_of(file(0x403000, 0x405000)), std::string("401005 C 401000+7: ") + kBefore);
}

TEST(PlanRelocations, ForbidTheBytesTheyWrite) {
  const Bytes code = kMov + kSyscall + kRet + repeat(0xcc, 40);
  EXPECT_EQ(plan_of(relocated(code, kCode + 0x20, 0)), std::string("401005 A 401000+7: ") + kA);
  EXPECT_EQ(plan_of(relocated(code, kCode + 1, 0)).substr(0, 8), "401005 N");
  EXPECT_EQ(plan_of(relocated(code, kCode + 6, 0)),
            "401005 N 401005+0: a relocation applies to the window, or the "
            "file's headers stand there\n");
}

TEST(PlanRelocations, LeaveASyscallBehindARelocatedInstructionToTheSpringboard) {
  // The widest relocation writes 16 bytes: this one ends right before the syscall.
  const Bytes code = repeat(0x50, 11) + kMov + kSyscall + kRet;
  const std::string sprung = std::string("401010 B 401010+2 by 401013: ") + kB;
  EXPECT_EQ(plan_of(relocated(code, kCode, 0, elf::kRTlsdesc)), sprung);
  EXPECT_EQ(plan_of(relocated(code, kCode + 1, 0, elf::kRTlsdesc)).substr(0, 8), "401010 N");
  EXPECT_EQ(plan_of(relocated(code, kCode + 8, 0)), sprung);
  EXPECT_EQ(plan_of(relocated(code, kCode + 9, 0)).substr(0, 8), "401010 N");
  // movabs $symbol, %rsi; syscall, in a library with relocations of its code
  const Bytes movabs = repeat(0x50, 8) + hex("48 be 00 00 00 00 00 00 00 00") + kSyscall + kRet;
  EXPECT_EQ(plan_of(relocated(movabs, kCode + 10, 0)),
            std::string("401012 B 401012+2 by 401015: ") + kB);
}

TEST(PlanRelocations, PointIntoWindowsByTheirAddends) {
  const Bytes code = hex("48 89 fe 89 d0") + kSyscall + kRet;
  const auto file = code_file(code)
                        .data(0x403000, words({0x405000, 8, kCode + 3}))
                        .dynamic(0x405000, {{elf::kDtRela, 0x403000}, {elf::kDtRelasz, 24}});
  EXPECT_EQ(plan_of(file), "401005 D 401005+2: data may hold a pointer into the window\n");
}

TEST(PlanRelocations, PointIntoWindowsByASymbolAndAnAddend) {
  constexpr uint64_t kOfOne = uint64_t{1} << 32 | elf::kR64;
  const Bytes code = hex("48 89 fe 89 d0") + kSyscall + kRet;
  const auto file = [&](uint64_t value, uint64_t addend) {
    return plan_of(
        code_file(code)
            .data(0x403000, words({0x407000, kOfOne, addend}))
            .data(0x405000, words({0, 0, 0, 0, value, 0}))
            .dynamic(0x406000,
                     {{elf::kDtRela, 0x403000}, {elf::kDtRelasz, 24}, {elf::kDtSymtab, 0x405000}}));
  };
  EXPECT_EQ(file(kCode, 3), "401005 D 401005+2: data may hold a pointer into the window\n");
  EXPECT_EQ(file(kCode, 0), std::string("401005 C 401000+7: ") + kBefore);
}

// --- Options
// ---------------------------------------------------------------------------------------

Options tiers(bool a, bool b, bool c, bool d) {
  Options options;
  options.tiers = {a, b, c, d};
  return options;
}

TEST(PlanOptions, RestrictTheTiers) {
  const Bytes code = kMov + kSyscall + kRet;
  EXPECT_EQ(plan_of(padded(code), tiers(false, true, true, true)),
            std::string("401005 B 401005+2 by 401008: ") + kB);
  EXPECT_EQ(plan_of(padded(code), tiers(false, false, true, true)),
            std::string("401005 C 401000+7: ") + kBefore);
  EXPECT_EQ(plan_of(padded(code), tiers(false, false, false, true)).substr(0, 8), "401005 D");
  EXPECT_EQ(plan_of(padded(code), tiers(false, false, false, false)).substr(0, 8), "401005 N");
}

TEST(PlanOptions, KeepAnUnpatchableSiteNative) {
  Options options;
  options.on_unpatchable = OnUnpatchable::kKeep;
  EXPECT_EQ(plan_of(kSyscall + kRet, options),
            "401000 N 401000+0: no 5 bytes to displace and no dead padding within reach\n");
}

TEST(PlanOptions, FailOnAnUnpatchableSite) {
  Options options;
  options.on_unpatchable = OnUnpatchable::kFail;
  const Error error = rewrite_error(code_file(kSyscall + kRet).build(), options);
  EXPECT_EQ(error.code, ErrorCode::kUnpatchable);
  EXPECT_EQ(error.where, kCode);
  EXPECT_EQ(error.message,
            "no jump fits at 0x401000: no 5 bytes to displace and no dead padding within reach; "
            "--on-unpatchable=trap poisons it, keep leaves it native");
}

TEST(PlanOptions, RefuseLiteboxWithNativeTails) {
  Options options;
  options.format = Format::kLitebox;
  const Error error = rewrite_error(code_file(kMov + kSyscall).build(), options);
  EXPECT_EQ(error.code, ErrorCode::kOptions);
  EXPECT_EQ(error.message,
            "a litebox file holds no syscall instruction, so it cannot have native tails; add "
            "--no-native-tail");
}

}  // namespace

}  // namespace sysrewrite
