// verify follows control flow itself: sites that are no instructions, and syscalls that no site
// names.
#include <gtest/gtest.h>

#include <cstddef>

#include "tests/rewritten_samples.h"
#include "tests/verdicts.h"

namespace sysrewrite {

namespace {

using namespace test;

// Two nops, mov $39, %eax; syscall; ret; ret. Where `48 b8` stands for the nops, all but the last
// byte is one movabs, with the pair in its constant.
const Bytes kNops = hex("90 90"), kMovabs = hex("48 b8");
const Bytes kCall = hex("b8 27 00 00 00 0f 05 c3 c3");

// A function at `start`, known by a symbol or by its unwind table.
ElfBuilder file_of(const Bytes& code, uint64_t start, bool frame) {
  const uint64_t size = kCode + code.size() - start;
  const Bytes frames = eh_frame(0x403000, {{start, size}});
  ElfBuilder file = ElfBuilder().code(kCode, code).entry(kCode);
  if (!frame) return file.symbol("f", start, size);
  return file.segment(0x403000, frames, elf::kFlagRead)
      .section(".eh_frame", elf::kShtProgbits, elf::kShfAlloc, 0x403000, frames.size());
}

TEST(VerifyReach, SeesASiteInAConstant) {
  const Bytes front = hex("31 c0 c3");
  for (const bool frame : {false, true}) {
    const uint64_t start = kCode + front.size();
    const Whole whole = rewrite_whole(file_of(front + kNops + kCall, start, frame).build());
    ASSERT_EQ(whole.report.sites.size(), 1U);
    ASSERT_EQ(whole.report.sites[0].tier, Tier::kInstruction);
    EXPECT_EQ(verdict(whole.output), "proven");
    EXPECT_TRUE(finds(with_code(whole, start, kMovabs),
                      "which control flow reaches and which has bytes in the patch"))
        << frame;
  }
}

// The same where control flow arrives only behind a call.
TEST(VerifyReach, SeesASiteInAConstantBehindACall) {
  const Bytes front = hex("e8 fb ff ff ff");
  const Whole whole = rewrite_whole(file_of(front + kNops + kCall, kCode, false).build());
  ASSERT_EQ(whole.report.sites.size(), 1U);
  EXPECT_EQ(verdict(whole.output), "proven");
  EXPECT_TRUE(finds(with_code(whole, kCode + front.size(), kMovabs), "a site of the table"));
}

// Without a function around it, or behind a switch that flow is not followed through, and so many
// bytes in front that decodes have long met.
TEST(VerifyReach, SeesASiteInAConstantWhereFlowDoesNotArrive) {
  const Bytes front = hex("ff e0") + repeat(0x50, 256);
  for (const bool symbol : {false, true}) {
    ElfBuilder file = ElfBuilder().code(kCode, front + kNops + kCall).entry(kCode);
    if (symbol) file.symbol("f", kCode, front.size() + 11);
    const Whole whole = rewrite_whole(file.build());
    ASSERT_EQ(whole.report.sites.size(), 1U);
    EXPECT_EQ(verdict(whole.output), "proven");
    EXPECT_TRUE(finds(with_code(whole, kCode + front.size(), kMovabs),
                      "that decodes from in front of it agree on `mov"))
        << symbol;
  }
}

// What the user insists on is data to most decodes, and to none of them the same.
TEST(VerifyReach, BelievesAPairThatDecodesDisagreeOn) {
  const Bytes code = repeat(0x06, 300) + hex("0f 05") + repeat(0x06, 300);
  Options options;
  options.uncertain = UncertainPolicy::kPatch;
  const Whole whole = rewrite_whole(ElfBuilder().code(kCode, code).build(), options);
  ASSERT_EQ(whole.report.sites.size(), 1U);
  EXPECT_EQ(verdict(whole.output), "proven");
  EXPECT_EQ(verify(whole.output).unvouched, 1U);
}

TEST(VerifyReach, CountsNoSiteAsUnvouchedThatFlowOrAgreementSpeaksFor) {
  const Bytes front = repeat(0x50, 64);
  const Whole reached = rewrite_whole(file_of(front + kNops + kCall, kCode, true).build());
  EXPECT_EQ(reached.report.sites.size(), 1U);
  EXPECT_EQ(verify(reached.output).unvouched, 0U);
  const Whole agreed =
      rewrite_whole(ElfBuilder().code(kCode, front + kNops + kCall).entry(0).build());
  EXPECT_EQ(agreed.report.sites.size(), 1U);
  EXPECT_EQ(verify(agreed.output).unvouched, 0U);
}

// A window may not begin in the middle of an instruction either: lea, then what was mov %esi, %edi.
TEST(VerifyReach, SeesAWindowThatBeginsInsideAnInstruction) {
  const Bytes code = hex("90 90 90 48 89 fe 89 d0 0f 05 c3");
  const Whole whole = rewrite_whole(code_file(code).build());
  ASSERT_EQ(whole.report.sites.at(0).tier, Tier::kWindow);
  ASSERT_EQ(whole.report.sites[0].window.value, kCode + 3);
  // 90 | 8d 40 48: flow goes on at 89 fe.
  EXPECT_TRUE(finds(with_code(whole, kCode + 1, hex("8d 40")), "a site of the table"));
}

// The jump that was a nop leads over what may be data.
TEST(VerifyReach, SeesAWindowOverBytesThatFlowLeapsOver) {
  const Bytes code = hex("66 90 ba 11 22 33 44 0f 05 c3");
  const Whole whole = rewrite_whole(file_of(code, kCode, true).build());
  ASSERT_EQ(whole.report.sites.at(0).tier, Tier::kInstruction);
  EXPECT_EQ(verdict(whole.output), "proven");
  EXPECT_TRUE(finds(with_code(whole, kCode, hex("eb 05")), "and not all that is displaced"));
}

// Flow is followed for 4,096 bytes from an entry point that no size is told of: up to the midst of
// what is displaced here.
TEST(VerifyReach, AcceptsAWindowAcrossTheEndOfWhatIsFollowed) {
  const Bytes front = hex("e9 f5 0f 00 00") + repeat(0xcc, 0xff5);
  const Bytes code = front + hex("0f 05 2e 66 41 f7 6d 13 c3");
  Options options;
  options.tiers.b = false;
  const Whole whole = rewrite_whole(ElfBuilder().code(kCode, code).entry(kCode).build(), options);
  ASSERT_EQ(whole.report.sites.at(0).tier, Tier::kWindow);
  EXPECT_EQ(verdict(whole.output), "proven");
}

// Most decodes from in front see `a9 48 b8 90 90` and nops up to the ret, and flow what is there:
// the last of many movabs takes in the ret, and what was padding runs.
TEST(VerifyReach, SeesASpringboardInPaddingThatFlowRunsThrough) {
  const Bytes movabs = hex("48 b8") + repeat(0x90, 7) + hex("a9");
  Bytes code = hex("85 f6 0f 85 28 01 00 00");  // test %esi, %esi; jne to the call
  for (int i = 0; i < 28; ++i) code = std::move(code) + movabs;
  const uint64_t last = kCode + code.size();
  code = std::move(code) + repeat(0x90, 9) + hex("c3") + repeat(0x90, 6);
  const Bytes call = hex("89 f8 53 0f 05 5b c3");  // mov %edi, %eax; push %rbx; syscall
  const Whole whole = rewrite_whole(file_of(code + call, kCode, false).build());
  ASSERT_EQ(whole.report.sites.at(0).tier, Tier::kSpringboard);
  EXPECT_EQ(verdict(whole.output), "proven");
  EXPECT_TRUE(finds(with_code(whole, last, kMovabs), "a springboard: found padding from 0x40112a"));
}

// Behind a jump, where flow does not arrive: mov $39, %eax becomes the end of a movabs, which ends
// where it did, and all see the syscall as before.
TEST(VerifyReach, SeesAWindowThatBeginsInsideAnInstructionWhereFlowDoesNotArrive) {
  Bytes code = hex("ff e0");
  for (int i = 0; i < 64; ++i) code = std::move(code) + hex("89 f7 89 fd");
  code = std::move(code) + hex("0f 0b");
  const uint64_t start = kCode + code.size();
  code = std::move(code) + repeat(0x90, 5) + kCall;
  for (const bool symbol : {false, true}) {
    ElfBuilder file = ElfBuilder().code(kCode, code).entry(kCode);
    if (symbol) file.symbol("f", kCode, code.size());
    const Whole whole = rewrite_whole(file.build());
    ASSERT_EQ(whole.report.sites.at(0).tier, Tier::kInstruction);
    EXPECT_EQ(verdict(whole.output), "proven");
    EXPECT_TRUE(finds(with_code(whole, start, hex("48 ba")), "a displaced instruction")) << symbol;
  }
}

// The symbol behind the function's is the data's.
TEST(VerifyReach, SeesASiteInData) {
  const auto file = [](uint8_t type) {
    return ElfBuilder()
        .code(kCode, hex("c3") + repeat(0x90, 15) + kCall)
        .symbol("f", kCode, 1)
        .symbol("d", kCode + 16, kCall.size(), type)
        .build();
  };
  const Whole whole = rewrite_whole(file(elf::kSttFunc));
  ASSERT_EQ(whole.report.sites.size(), 1U);
  EXPECT_EQ(verdict(whole.output), "proven");
  const Bytes forged = with_input(whole, file(elf::kSttObject));
  EXPECT_TRUE(finds(forged, "that a symbol or the section headers call it data"));
  EXPECT_TRUE(finds(forged, "a site of the table"));
}

TEST(VerifyReach, SeesASpringboardInData) {
  const auto file = [](uint64_t size) {
    return ElfBuilder()
        .code(kCode, hex("58 50 58 0f 05 c3 90 90") + repeat(0xcc, 8))
        .symbol("f", kCode, 6)
        .symbol("d", kCode + 8, size, elf::kSttObject)
        .build();
  };
  const Whole whole = rewrite_whole(file(0));
  ASSERT_EQ(whole.report.sites.at(0).tier, Tier::kSpringboard);
  EXPECT_EQ(verdict(whole.output), "proven");
  const Bytes other = file(8);
  EXPECT_NE(rewrite_whole(other).report.sites.at(0).tier, Tier::kSpringboard);
  EXPECT_TRUE(finds(with_input(whole, other), "a byte of a springboard"));
}

TEST(VerifyReach, SeesASyscallThatNoSiteNames) {
  for (const bool frame : {false, true}) {
    const Whole whole = rewrite_whole(file_of(kMovabs + kCall, kCode, frame).build());
    ASSERT_TRUE(whole.report.sites.empty());
    EXPECT_EQ(verdict(whole.output), "proven");
    EXPECT_TRUE(finds(with_code(whole, kCode, kNops),
                      "0x401007: a syscall instruction: found that control flow reaches it"))
        << frame;
  }
}

// je into the constant of a mov: syscall; ud2. It runs, whatever the mov says.
TEST(VerifyReach, SeesASyscallInTwoReadingsThatWasCountedAsInside) {
  const Whole whole = rewrite_whole(code_file(hex("85 c0 74 01 b8 0f 05 0f 0b c3")).build());
  ASSERT_EQ(whole.report.count(CandidateClass::kUncertain), 1U);
  EXPECT_EQ(verdict(whole.output), "proven");
  const uint64_t meta = whole.file.meta_offset().value;
  Bytes forged = with(whole.output, meta + offsetof(MetaHeader, uncertain_count), uint32_t{0});
  forged = with(forged, meta + offsetof(MetaHeader, inside_count), uint32_t{1});
  EXPECT_TRUE(finds(sealed(forged), "the number of uncertain pairs"));
}

// Behind a call the code may be data that merely looks like it; but then it was reported.
TEST(VerifyReach, SeesMoreDoubtfulSyscallsThanWereReported) {
  const Bytes call = hex("e8 fb ff ff ff");
  const Whole whole = rewrite_whole(file_of(call + kMovabs + kCall, kCode, false).build());
  ASSERT_TRUE(whole.report.sites.empty());
  EXPECT_EQ(verdict(whole.output), "proven");
  EXPECT_TRUE(finds(with_code(whole, kCode + call.size(), kNops), "the number of uncertain pairs"));

  const Bytes with_zeros = hex("e8 fb ff ff ff 00 00 0f 05 c3");
  const Whole doubtful = rewrite_whole(file_of(with_zeros, kCode, false).build());
  ASSERT_EQ(doubtful.report.count(CandidateClass::kUncertain), 1U);
  EXPECT_EQ(verdict(doubtful.output), "proven");
}

// Behind a switch, and where no table names a function, decodes have long met.
TEST(VerifyReach, SeesASyscallThatNoSiteNamesWhereFlowDoesNotArrive) {
  const Bytes front = hex("ff e0") + repeat(0x50, 256);
  for (const bool symbol : {false, true}) {
    ElfBuilder file = ElfBuilder().code(kCode, front + kMovabs + kCall).entry(kCode);
    if (symbol) file.symbol("f", kCode, front.size() + 11);
    const Whole whole = rewrite_whole(file.build());
    ASSERT_TRUE(whole.report.sites.empty());
    EXPECT_EQ(verdict(whole.output), "proven");
    EXPECT_TRUE(
        finds(with_code(whole, kCode + front.size(), kNops), "the number of uncertain pairs"))
        << symbol;
  }
}

// Two instructions that overlap, and a data symbol over code that runs: neither is a site.
TEST(VerifyReach, BelievesWhatWasReportedAsUncertain) {
  const Whole object = rewrite_whole(ElfBuilder()
                                         .code(kCode, kNops + kCall)
                                         .symbol("f", kCode, 11)
                                         .symbol("d", kCode + 7, 2, elf::kSttObject)
                                         .build());
  ASSERT_TRUE(object.report.sites.empty());
  EXPECT_EQ(verdict(object.output), "proven");
  // test %eax, %eax; je 401005; the second byte of mov $0x050f9090, %eax.
  const Whole twice = rewrite_whole(code_file(hex("85 c0 74 01 b8 90 90 0f 05 c3")).build());
  ASSERT_TRUE(twice.report.sites.empty());
  EXPECT_EQ(verdict(twice.output), "proven");
}

}  // namespace

}  // namespace sysrewrite
