// What a candidate is taken for, and on what evidence.
#include "rewriter/sites.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/rewrites.h"

namespace sysrewrite {

namespace {

using namespace test;

const char* class_name(CandidateClass kind) {
  switch (kind) {
    case CandidateClass::kInstruction:
      return "site";
    case CandidateClass::kInside:
      return "inside";
    case CandidateClass::kData:
      return "data";
    case CandidateClass::kUncertain:
      return "uncertain";
  }
  return "?";
}

// "401005 site: decoded from ...", a line for each `0F 05`.
std::string classes_of(const ElfBuilder& builder,
                       UncertainPolicy uncertain = UncertainPolicy::kLeave) {
  Options options;
  options.uncertain = uncertain;
  const Whole whole = rewrite_whole(builder.build(), options);
  std::string out;
  for (const ClassifiedCandidate& c : whole.report.candidates)
    out += fmt::format("{:x} {}: {}\n", c.candidate.address.value, class_name(c.kind),
                       evidence_text(c.evidence));
  return out;
}

constexpr char kDecoded[] = "decoded from the start of its function\n";
constexpr char kAgreed[] =
    "no known start; decodes from many places agree, and the code around makes sense\n";
constexpr char kDisagreed[] = "no known start, and decodes from different places disagree\n";
constexpr char kImplausible[] =
    "no known start; decodes agree, but the code around makes no sense\n";
constexpr char kBehindCall[] =
    "control flow arrives only where a call comes back, and the code around makes no sense\n";
constexpr char kCalledOver[] = "a call leads to the code behind it, which takes its address\n";
constexpr char kObject[] = "a data symbol covers it\n";
constexpr char kTwo[] = "two instructions overlap here, and only one of them is a system call\n";
constexpr char kSection[] = "it lies in a section that holds no code\n";

const Bytes kCall = hex("b8 27 00 00 00 0f 05 c3");  // mov $39, %eax; syscall; ret

// Code that nothing names: no symbol, and the entry point far away.
ElfBuilder unnamed(const Bytes& code) {
  return ElfBuilder().code(kCode, repeat(0xcc, 0x200) + code).entry(0);
}

TEST(Sites, AreDecodedFromAKnownStart) {
  EXPECT_EQ(classes_of(code_file(kCall)), std::string("401005 site: ") + kDecoded);
}

TEST(Sites, AreDecodedFromTheEntryPointWhereNoSymbolIs) {
  EXPECT_EQ(classes_of(ElfBuilder().code(kCode, kCall)), std::string("401005 site: ") + kDecoded);
}

TEST(Sites, AreDecodedFromASymbolOfSizeZero) {
  EXPECT_EQ(classes_of(ElfBuilder().code(kCode, kCall).entry(0).symbol("f", kCode, 0)),
            std::string("401005 site: ") + kDecoded);
}

TEST(Sites, AreFoundBehindAPrefix) {
  const Whole whole = rewrite_whole(code_file(hex("b8 27 00 00 00 48 0f 05 c3")).build());
  ASSERT_EQ(whole.report.sites.size(), 1U);
  EXPECT_EQ(whole.report.sites[0].address.value, kCode + 5);
}

TEST(Sites, AreNotInsideAnotherInstruction) {
  EXPECT_EQ(classes_of(code_file(hex("b8 0f 05 00 00 c3"))),
            std::string("401001 inside: ") + kDecoded);
  EXPECT_EQ(classes_of(code_file(hex("48 8d 15 0f 05 00 00 c3"))),
            std::string("401003 inside: ") + kDecoded);
  // mov $0x0f000000, %eax; add ...: the pair lies across two instructions
  EXPECT_EQ(classes_of(code_file(hex("b8 00 00 00 0f 05 01 00 00 00 c3"))),
            std::string("401004 inside: ") + kDecoded);
}

// je 40100a, into the constant of a mov: both ways are taken, and only one makes a call.
TEST(Sites, AreUncertainWhereABranchLeadsIntoAnInstructionThatHoldsThePair) {
  const Bytes hidden = hex("b8 27 00 00 00 39 c0 74 01 b8 0f 05 90 90 90 c3");
  EXPECT_EQ(classes_of(code_file(hidden)), std::string("40100a uncertain: ") + kTwo);
  // As a case of a jump table, and where nothing names the function.
  EXPECT_EQ(classes_of(code_file(repeat(0x90, 32) + hex("ff e0") + hidden)),
            std::string("40102c uncertain: ") + kTwo);
  EXPECT_EQ(classes_of(unnamed(repeat(0x50, 80) + hidden)),
            std::string("40125a uncertain: ") + kTwo);
  // A branch to the mov itself, or further into it.
  EXPECT_EQ(classes_of(code_file(hex("b8 27 00 00 00 39 c0 74 00 b8 0f 05 90 90 90 c3"))),
            std::string("40100a inside: ") + kDecoded);
  EXPECT_EQ(classes_of(code_file(hex("b8 27 00 00 00 39 c0 74 03 b8 0f 05 90 90 90 c3"))),
            std::string("40100a inside: ") + kDecoded);
}

// je 401006, into the call's second byte: add $0xc390, %eax.
TEST(Sites, AreUncertainWhereABranchLeadsIntoTheCall) {
  EXPECT_EQ(classes_of(code_file(hex("39 c0 74 02 90 0f 05 90 c3 00 00 c3"))),
            std::string("401005 uncertain: ") + kTwo);
}

TEST(Sites, AreTheSameBehindAPrefixAndWithoutIt) {
  EXPECT_EQ(classes_of(code_file(hex("b8 27 00 00 00 74 01 48 0f 05 c3"))),
            std::string("401008 site: ") + kDecoded);
}

TEST(Sites, AreUncertainUnderADataSymbolWhereFlowArrives) {
  const std::string reached = "a data symbol covers it, but control flow leads to it\n";
  const auto file =
      code_file(kCall + kCall).symbol("object", kCode, kCall.size() * 2, elf::kSttObject);
  EXPECT_EQ(classes_of(file), "401005 uncertain: " + reached + "40100d data: " + kObject);
}

// Both ways are taken, so that a patch would break one of them, whoever asks for it.
TEST(Sites, OfTwoReadingsStayNativeOnRequest) {
  const Bytes hidden = hex("b8 27 00 00 00 39 c0 74 01 b8 0f 05 90 90 90 c3");
  for (const auto policy : {UncertainPolicy::kTrap, UncertainPolicy::kPatch}) {
    Options options;
    options.uncertain = policy;
    const Whole whole = rewrite_whole(code_file(hidden).build(), options);
    ASSERT_EQ(whole.report.sites.size(), 1U);
    EXPECT_EQ(whole.report.sites[0].tier, Tier::kNative);
    EXPECT_TRUE(whole.report.incomplete());
  }
}

// Constants behind a call that need not come back: exit(5), and call *%rax.
TEST(Sites, AreUncertainInDataBehindWhatDoesNotComeBack) {
  const Bytes data = hex("0f 05 00 00 f6 fa ff ff");  // 1295, -1290
  const Bytes exits = hex("b8 3c 00 00 00 0f 05");
  EXPECT_EQ(classes_of(code_file(exits + data)),
            std::string("401005 site: ") + kDecoded + "401007 uncertain: " + kBehindCall);
  EXPECT_EQ(classes_of(code_file(hex("ff d0") + data)),
            std::string("401002 uncertain: ") + kBehindCall);
  EXPECT_EQ(classes_of(code_file(hex("e8 00 10 00 00") + data)),
            std::string("401005 uncertain: ") + kBehindCall);
  // As they do, when it was no exit.
  EXPECT_EQ(classes_of(code_file(hex("b8 27 00 00 00 0f 05") + kCall)),
            std::string("401005 site: ") + kDecoded + "40100c site: " + kDecoded);
}

TEST(Sites, AreFoundBehindCallsThatComeBack) {
  // call *%rax; mov $39, %eax; syscall; ret, and where the call returns the number
  EXPECT_EQ(classes_of(code_file(hex("ff d0") + kCall)), std::string("401007 site: ") + kDecoded);
  EXPECT_EQ(classes_of(code_file(hex("ff d0 0f 05 c3"))), std::string("401002 site: ") + kDecoded);
  // exit_group, and exit where that failed: mov $60, %edx; mov %rdx, %rax; syscall; ret
  EXPECT_EQ(classes_of(code_file(hex("b8 e7 00 00 00 0f 05 ba 3c 00 00 00 48 89 d0 0f 05 c3"))),
            std::string("401005 site: ") + kDecoded + "40100f site: " + kDecoded);
}

// call 1f; mov $39, %eax; syscall; 1: pop %rsi; ret: what looks like code is what rsi points to.
TEST(Sites, AreUncertainWhereACallLeadsOverThemToAPop) {
  EXPECT_EQ(classes_of(code_file(hex("e8 07 00 00 00 b8 27 00 00 00 0f 05 5e c3"))),
            std::string("40100a uncertain: ") + kCalledOver);
  EXPECT_EQ(classes_of(code_file(hex("e8 07 00 00 00 b8 27 00 00 00 0f 05 41 5e c3"))),
            std::string("40100a uncertain: ") + kCalledOver);
  // A subroutine is no such target.
  EXPECT_EQ(classes_of(code_file(hex("e8 08 00 00 00") + kCall + kCall)),
            std::string("40100a site: ") + kDecoded + "401012 site: " + kDecoded);
}

TEST(Sites, AreNotWhereADataSymbolLies) {
  const auto file =
      code_file(hex("c3")).code(0x402000, kCall).symbol("table", 0x402000, 8, elf::kSttObject);
  EXPECT_EQ(classes_of(file), std::string("402005 data: ") + kObject);
}

TEST(Sites, AreNotInASectionWithoutCode) {
  const auto file = ElfBuilder()
                        .code(kCode, hex("c3 90 90 90") + repeat(0xcc, 12) + kCall)
                        .section(".text", 1, 6, kCode, 4)
                        .section(".rodata", 1, 2, kCode + 16, 8);
  EXPECT_EQ(classes_of(file), std::string("401015 data: ") + kSection);
}

TEST(Sites, AreBelievedWhereDecodesAgreeAndTheNumberIsSet) {
  EXPECT_EQ(classes_of(unnamed(kCall)), std::string("401205 site: ") + kAgreed);
}

TEST(Sites, AreUncertainWhereNothingSetsANumber) {
  EXPECT_EQ(classes_of(unnamed(hex("90 0f 05 c3"))),
            std::string("401201 uncertain: ") + kImplausible);
}

// Constants behind a function that returns one, or goes on elsewhere with one.
TEST(Sites, AreUncertainWhereTheNumberIsSetOnAPathThatHasEnded) {
  EXPECT_EQ(classes_of(unnamed(hex("b8 01 00 00 00 c3 90 90 0f 05 89 d0 90 90 c3"))),
            std::string("401208 uncertain: ") + kImplausible);
  EXPECT_EQ(classes_of(unnamed(hex("b8 01 00 00 00 eb 06 90 90 0f 05 89 d0 90 90 c3"))),
            std::string("401209 uncertain: ") + kImplausible);
  // The cases of a switch.
  EXPECT_EQ(classes_of(unnamed(hex("b8 27 00 00 00 ff e1 48 89 de 0f 05 c3"))),
            std::string("40120a site: ") + kAgreed);
  // klibc's functions set the number and go to this code, from far away.
  EXPECT_EQ(
      classes_of(unnamed(hex("b8 01 00 00 00 c3 49 89 ca 0f 05 48 3d 01 f0 ff ff 73 01 c3 c3"))),
      std::string("401209 site: ") + kAgreed);
  // dietlibc's functions set al and go to the code that makes eax of it.
  EXPECT_EQ(classes_of(unnamed(hex("b0 27 eb 03 90 90 90 0f b6 c0 0f 05 c3"))),
            std::string("40120a site: ") + kAgreed);
}

TEST(Sites, AreUncertainWhereOnlyANopOrAVectorIsInFront) {
  EXPECT_EQ(classes_of(unnamed(hex("0f 1f 00 0f 05 c3"))),
            std::string("401203 uncertain: ") + kImplausible);
  EXPECT_EQ(classes_of(unnamed(hex("0f 11 07 0f 05 c3"))),
            std::string("401203 uncertain: ") + kImplausible);
}

TEST(Sites, AreUncertainWhereTheCodeBehindMakesNoSense) {
  EXPECT_EQ(classes_of(unnamed(hex("b8 27 00 00 00 0f 05 06"))),
            std::string("401205 uncertain: ") + kImplausible);
}

TEST(Sites, AreUncertainWherePrivilegedCodeStandsAround) {
  EXPECT_EQ(classes_of(unnamed(hex("b8 27 00 00 00 ec 0f 05 c3"))),
            std::string("401206 uncertain: ") + kImplausible);
}

// The table in front of a function of GHC's: two pointers and another word, a function, and how far
// away its references are, 0x50fd0. Decodes agree on `or %eax, (%rax)` and so on, and a system
// call.
TEST(Sites, AreUncertainInATableOfSmallNumbers) {
  const auto with = [](const char* table) {
    return classes_of(unnamed(hex("49 c7 85 88 03 00 00 18 00 00 00 bb f0 a8 50 00 41 ff 65 f8") +
                              hex(table) +
                              hex("00 48 8d 45 88 4c 39 f8 0f 82 b8 00 00 00 48 c7 45 f0 88 c9 41"
                                  "00 48 8b 43 06 4c 89 f3 48 89 45 f8 48 83 c5 f0 ff 23")));
  };
  EXPECT_EQ(with("05 00 00 00 02 00 00 00 01 00 00 00 00 00 00 00 09 00 00 00 d0 0f 05"),
            std::string("401229 uncertain: ") + kImplausible);
  EXPECT_EQ(with("0f 1f 44 00 00 48 89 f8 48 89 f7 0f 05"), std::string("40121f site: ") + kAgreed);
}

// Such a table, whose first words are zeros, directly behind the jump that ends another function.
TEST(Sites, AreUncertainInATableBehindAJumpThatEndsAtAMultipleOf8) {
  EXPECT_EQ(classes_of(unnamed(
                hex("49 c7 85 88 03 00 00 18 00 00 00 b8 f0 a8 50 00 48 89 d8 90 41 ff 65 f8"
                    "00 00 00 00 00 00 00 00 15 00 00 00 d0 0f 05 00"
                    "48 8d 45 88 4c 39 f8 0f 82 b8 00 00 00 48 c7 45 f0 88 c9 41"
                    "00 48 8b 43 06 4c 89 f3 48 89 45 f8 48 83 c5 f0 ff 23"))),
            std::string("401225 uncertain: ") + kImplausible);
}

// As Free Pascal pads: ret, zeros up to a multiple of 16, and the next function.
TEST(Sites, AreBelievedBehindZerosThatFillUpToAFunction) {
  const auto behind = [](const char* fill) {
    return classes_of(unnamed(hex("55 48 89 e5 5d 90 90 c3") + hex(fill) +
                              hex("55 48 89 e5 48 8d 64 24 f0 48 89 f8 0f 05 c3")));
  };
  EXPECT_EQ(behind("00 00 00 00 00 00 00 00"), std::string("40121c site: ") + kAgreed);
  EXPECT_EQ(behind("c3 00 00 00 00 00 00 00"), std::string("40121c site: ") + kAgreed);
  EXPECT_EQ(behind("00 00 00 00"), std::string("401218 uncertain: ") + kImplausible);
  EXPECT_EQ(behind("89 c8 00 00 00 00 00 00"), std::string("40121c uncertain: ") + kImplausible);
}

TEST(Sites, AreUncertainWhereDecodesDisagree) {
  // The bytes 06 end each decode, and few start behind the last of them.
  const auto file = ElfBuilder().code(kCode, repeat(0x06, 0x200) + hex("0f 05 c3")).entry(0);
  EXPECT_EQ(classes_of(file), std::string("401200 uncertain: ") + kDisagreed);
}

TEST(Sites, AreMadeOfUncertainOnesOnRequest) {
  const auto file = unnamed(hex("90 0f 05 c3"));
  for (const auto policy : {UncertainPolicy::kTrap, UncertainPolicy::kPatch}) {
    Options options;
    options.uncertain = policy;
    const Whole whole = rewrite_whole(file.build(), options);
    EXPECT_EQ(whole.report.sites.size(), 1U);
    EXPECT_EQ(whole.report.count(CandidateClass::kUncertain), 0U);
    EXPECT_FALSE(whole.report.incomplete());
  }
  EXPECT_TRUE(rewrite_whole(file.build()).report.incomplete());
}

TEST(Sites, AreTrappedAndNotPatchedWhereATrapWasAskedFor) {
  Options options;
  options.uncertain = UncertainPolicy::kTrap;
  // Uncertain, with a five-byte instruction in front that a patch would cover.
  const Whole whole = rewrite_whole(unnamed(hex("b9 27 00 00 00 0f 05 c3")).build(), options);
  ASSERT_EQ(whole.report.sites.size(), 1U);
  EXPECT_EQ(whole.report.sites[0].tier, Tier::kTrap);
  options.uncertain = UncertainPolicy::kPatch;
  const Whole patched = rewrite_whole(unnamed(hex("b9 27 00 00 00 0f 05 c3")).build(), options);
  EXPECT_EQ(patched.report.sites[0].tier, Tier::kInstruction);
}

// A table behind a jump, in hand-written code: flow does not reach it.
TEST(Sites, AreNotBelievedInATableThatFlowDoesNotReach) {
  const auto file = code_file(kCall + hex("0f 05 17 06 3c 0f 05 d4"));
  EXPECT_EQ(classes_of(file), std::string("401005 site: ") + kDecoded + "401008 uncertain: " +
                                  kDisagreed + "40100d uncertain: " + kDisagreed);
}

TEST(Sites, AreFoundInCasesThatOnlyAJumpTableReaches) {
  // jmp *%rax; then a case: mov $39, %eax; syscall; ret
  const auto file = code_file(repeat(0x90, 32) + hex("ff e0") + kCall);
  EXPECT_EQ(classes_of(file), std::string("401027 site: ") + kAgreed);
}

// Of sixteen places in a row of jumps three are starts, and decodes from the others end soon.
TEST(Sites, AreNotInsideAJumpInARowOfThemThatOnlyAJumpTableReaches) {
  Bytes jumps = hex("ff e0");
  for (int i = 0; i < 200; ++i) jumps = jumps + hex("e9 87 e4 fc ff");
  const auto file = code_file(jumps + hex("e9 0f 05 fd ff"));
  EXPECT_EQ(classes_of(file), std::string("4013eb inside: ") + kAgreed);
}

// A landing pad: only the LSDA leads to it, and it ends in a call of _Unwind_Resume.
TEST(Sites, AreFoundInFrontOfACallThatEndsTheFunction) {
  const auto file = code_file(repeat(0x90, 32) + hex("c3 b8 ca 00 00 00 0f 05 e8 00 01 00 00"));
  EXPECT_EQ(classes_of(file), std::string("401026 site: ") + kAgreed);
}

// Data in front of the function ends all decodes from far away, as Free Pascal's strings do.
TEST(Sites, AreNotInsideAnInstructionBehindData) {
  const Bytes strings = repeat(0x06, 0x200), code = repeat(0x50, 80);
  const std::string nearby =
      "no known start; decodes from nearby agree, and none that sets a number arrives\n";
  const auto with = [&](const char* last) {
    return classes_of(ElfBuilder().code(kCode, strings + code + hex(last)).entry(0));
  };
  EXPECT_EQ(with("48 8d 05 0f 05 11 00 c3"), "401253 inside: " + nearby);
  EXPECT_EQ(with("0f 05 c3"), std::string("401250 uncertain: ") + kDisagreed);
  // Read from further away, this is a constant; who starts at b8 sees a number and a call.
  EXPECT_EQ(with("c7 05 b8 27 00 00 00 0f 05 c3"), std::string("401257 uncertain: ") + kDisagreed);
}

// Nearby decodes alone make no site, but for what else would compare a result with -4095?
TEST(Sites, AreBelievedBehindDataWhereTheResultIsCheckedForAnError) {
  const Bytes strings = repeat(0x06, 0x200), code = repeat(0x50, 80);
  const auto with = [&](const char* last) {
    return classes_of(ElfBuilder().code(kCode, strings + code + hex(last)).entry(0));
  };
  EXPECT_EQ(with("48 89 f8 0f 05 48 3d 01 f0 ff ff c3"),
            "401253 site: no known start; decodes from nearby agree, and its result is checked for "
            "an error\n");
  EXPECT_EQ(with("48 89 f8 0f 05 48 3d 01 f0 0f 00 c3"),
            std::string("401253 uncertain: ") + kDisagreed);
}

// What only flow from a bare entry point is known to reach: an indirect jump far behind, in a
// function that nothing names, says nothing of a call in another.
TEST(Sites, BehindAnEntryPointAreNotHeldToJumpsOfTheNextFunctions) {
  const Bytes entry = hex("48 8d 05 39 00 00 00 c3");                // lea, of the call's function
  const Bytes call = hex("b8 e7 00 00 00 8b 7d fc 0f 05 eb f4 c3");  // as fpc's _haltproc
  const auto file =
      ElfBuilder()
          .code(kCode, entry + repeat(0x50, 0x38) + call + repeat(0x50, 0x400) + hex("ff e0"))
          .entry(kCode);
  const Whole whole = rewrite_whole(file.build());
  ASSERT_EQ(whole.report.sites.size(), 1U);
  EXPECT_EQ(whole.report.sites[0].tier, Tier::kWindow);
}

// A function at 403000 that unwind tables leave out, which cover the file up to `covered` bytes.
std::string classes_beside_tables(const char* call, uint64_t entry, uint64_t covered) {
  constexpr uint64_t kFrames = 0x480000, kHeader = 0x490000;
  const Bytes frames = eh_frame(kFrames, {{kCode, covered}});
  return classes_of(
      ElfBuilder()
          .code(kCode, repeat(0x90, 0x1fff) + hex("c3 c3") + repeat(0x50, 80) + hex(call))
          .segment(kFrames, frames, elf::kFlagRead)
          .segment(kHeader, eh_frame_header(kHeader, kFrames), elf::kFlagRead)
          .header(elf::kPtGnuEhFrame, kHeader, 8)
          .entry(entry));
}

// Where unwind tables cover most code, what they leave out is believed less: a call whose number
// comes in a register only near an entry point, as in assembly whose labels are no functions.
TEST(Sites, OfCodeThatUnwindTablesLeaveOutAreBelievedBehindAnEntryPoint) {
  constexpr char kMoved[] = "48 89 f8 0f 05 c3";  // mov %rdi, %rax
  constexpr uint64_t kBare = kCode + 0x2000;
  const std::string site = std::string("403054 site: ") + kAgreed;
  EXPECT_EQ(classes_beside_tables(kMoved, kBare, 0x1800), site);
  EXPECT_EQ(classes_beside_tables(kMoved, kCode + 0x1900, 0x1800), site);
  EXPECT_EQ(classes_beside_tables(kMoved, kCode, 0x1800),
            std::string("403054 uncertain: ") + kImplausible);
  EXPECT_EQ(classes_beside_tables(kMoved, kCode, 0x100), site);
}

// As syscall() of valgrind's tools: mov %rdi, %rax; mov %rsi, %rdi; ... mov %r8, %r10
TEST(Sites, OfCodeThatUnwindTablesLeaveOutAreBelievedWhereItHandsOnAFourthArgument) {
  EXPECT_EQ(
      classes_beside_tables("48 89 f8 48 89 f7 48 89 d6 48 89 ca 4d 89 c2 0f 05 c3", kCode, 0x1800),
      std::string("403060 site: ") + kAgreed);
  EXPECT_EQ(
      classes_beside_tables("48 89 f8 48 89 f7 48 89 d6 48 89 ca 4d 89 c3 0f 05 c3", kCode, 0x1800),
      std::string("403060 uncertain: ") + kImplausible);
}

TEST(Sites, OtherCallsAreReportedOnlyWhereTheyAreInstructions) {
  const Whole whole = rewrite_whole(code_file(hex("b8 cd 80 00 00 cd 80 0f 34 c3")).build());
  ASSERT_EQ(whole.report.other_calls.size(), 2U);
  EXPECT_EQ(whole.report.other_calls[0].candidate.address.value, kCode + 5);
  EXPECT_EQ(whole.report.other_calls[1].candidate.kind, PairKind::kSysenter);
  EXPECT_TRUE(whole.report.candidates.empty());
}

TEST(Sites, AddUpToTheCandidates) {
  const auto file = code_file(kCall + hex("0f 05 17 06 3c 0f 05 d4") + hex("b8 0f 05 00 00"))
                        .code(0x403000, kCall)
                        .symbol("table", 0x403000, 8, elf::kSttObject);
  const Whole whole = rewrite_whole(file.build());
  const MetaHeader& meta = whole.file.meta();
  EXPECT_EQ(meta.candidate_count, whole.report.candidates.size());
  EXPECT_EQ(meta.candidate_count,
            meta.inside_count + meta.data_count + meta.uncertain_count + meta.instruction_count);
  EXPECT_EQ(meta.instruction_count, whole.report.sites.size());
  EXPECT_EQ(meta.data_count, 1U);
}

}  // namespace

}  // namespace sysrewrite
