#include "rewriter/decoder.h"

#include <gtest/gtest.h>

#include <random>
#include <sstream>

#include "tests/byte_literals.h"

namespace sysrewrite {

namespace {

using namespace test;

constexpr Vaddr kHere{0x401000};

const char* flow_name(Flow flow) {
  switch (flow) {
    case Flow::kFallsThrough:
      return "falls";
    case Flow::kCall:
      return "call";
    case Flow::kConditional:
      return "conditional";
    case Flow::kJump:
      return "jump";
    case Flow::kIndirectJump:
      return "indirect";
    case Flow::kReturn:
      return "return";
    case Flow::kTrap:
      return "trap";
  }
  return "?";
}

const char* special_name(Special special) {
  switch (special) {
    case Special::kNone:
      return "";
    case Special::kSyscall:
      return " syscall";
    case Special::kSysenter:
      return " sysenter";
    case Special::kInt80:
      return " int80";
    case Special::kNop:
      return " nop";
    case Special::kEndbr:
      return " endbr";
    case Special::kInt3:
      return " int3";
    case Special::kSled:
      return " sled";
  }
  return "?";
}

// "5 falls movable rax=39", all that is known of one instruction at 401000.
std::string facts(const char* bytes) {
  const Decoder decoder;
  const auto in = decoder.decode(hex(bytes), kHere);
  if (!in) return "none";
  std::ostringstream out;
  out << int{in->length} << " " << flow_name(in->flow) << special_name(in->special) << std::hex;
  if (in->direct) out << " to " << in->target.value;
  if (in->rip_relative()) out << " rip@" << int{in->displacement} << " " << in->target.value;
  if (in->prefixes != 0) out << " prefixes " << int{in->prefixes};
  if (in->movable) out << " movable";
  if (in->moves_stack) out << " stack";
  if (in->unlikely) out << " unlikely";
  if (in->passes_fourth) out << " fourth";
  if (in->writes_rax) out << " rax";
  if (in->rax_value >= 0) out << "=" << std::dec << in->rax_value;
  return out.str();
}

TEST(Decoder, KnowsTheWaysIntoTheKernel) {
  EXPECT_EQ(facts("0f 05"), "2 falls syscall");
  EXPECT_EQ(facts("48 0f 05"), "3 falls syscall prefixes 1");
  EXPECT_EQ(facts("0f 34"), "2 falls sysenter");
  EXPECT_EQ(facts("cd 80"), "2 falls int80");
  EXPECT_EQ(facts("cd 81"), "2 falls unlikely");
}

TEST(Decoder, KnowsHowEachBranchGoesOn) {
  EXPECT_EQ(facts("eb 10"), "2 jump to 401012");
  EXPECT_EQ(facts("e9 fb ff ff ff"), "5 jump to 401000");
  EXPECT_EQ(facts("74 fe"), "2 conditional to 401000");
  EXPECT_EQ(facts("0f 85 00 00 00 00"), "6 conditional to 401006");
  EXPECT_EQ(facts("e2 00"), "2 conditional to 401002");
  EXPECT_EQ(facts("e3 00"), "2 conditional to 401002");
  EXPECT_EQ(facts("e8 00 00 00 00"), "5 call to 401005");
  EXPECT_EQ(facts("ff d0"), "2 call");
  EXPECT_EQ(facts("ff e0"), "2 indirect");
  EXPECT_EQ(facts("ff 25 00 00 00 00").substr(0, 10), "6 indirect");
  EXPECT_EQ(facts("3e ff e0"), "3 indirect prefixes 1");
  EXPECT_EQ(facts("c3"), "1 return");
  EXPECT_EQ(facts("f3 c3"), "2 return prefixes 1");
  EXPECT_EQ(facts("c2 08 00"), "3 return");
  EXPECT_EQ(facts("0f 0b"), "2 trap");
  EXPECT_EQ(facts("cc"), "1 trap int3");
  EXPECT_EQ(facts("f4"), "1 trap");
  EXPECT_EQ(facts("c7 f8 00 00 00 00").substr(0, 23), "6 conditional to 401006");
}

TEST(Decoder, KnowsPaddingAndLandingMarks) {
  EXPECT_EQ(facts("90"), "1 falls nop movable");
  EXPECT_EQ(facts("66 90"), "2 falls nop prefixes 1 movable");
  EXPECT_EQ(facts("66 2e 0f 1f 84 00 00 00 00 00"), "10 falls nop prefixes 2 movable");
  EXPECT_EQ(facts("0f 1f 00"), "3 falls nop movable");
  EXPECT_EQ(facts("f3 0f 1e fa").substr(0, 13), "4 falls endbr");
  EXPECT_EQ(facts("f3 0f 1e fb").substr(0, 13), "4 falls endbr");
  // What LLVM leaves for others to write over is neither padding nor anybody's to move.
  EXPECT_EQ(facts("0f 1f 44 00 08"), "5 falls sled");
  EXPECT_EQ(facts("66 0f 1f 84 00 00 02 00 00"), "9 falls sled prefixes 1");
  EXPECT_EQ(facts("66 2e 0f 1f 84 00 00 02 00 00"), "10 falls sled prefixes 2");
  EXPECT_EQ(facts("f3 90").find("nop"), std::string::npos);  // pause
}

TEST(Decoder, FindsRipRelativeOperands) {
  EXPECT_EQ(facts("48 8d 05 10 00 00 00"), "7 falls rip@3 401017 prefixes 1 movable rax");
  EXPECT_EQ(facts("c7 05 f0 ff ff ff 01 00 00 00"), "10 falls rip@2 400ffa movable");
  EXPECT_EQ(facts("8b 04 25 00 10 00 00"), "7 falls movable rax");  // absolute
}

TEST(Decoder, KnowsHowManyBytesARipRelativeOperandHas) {
  const Decoder decoder;
  const auto accessed = [&](const char* bytes) { return decoder.accessed_bytes(hex(bytes)); };
  EXPECT_EQ(accessed("8a 05 10 00 00 00"), 1U);                // mov, al
  EXPECT_EQ(accessed("0f b7 35 10 00 00 00"), 2U);             // movzwl
  EXPECT_EQ(accessed("81 3d 10 00 00 00 01 02 03 04"), 4U);    // cmpl $imm32
  EXPECT_EQ(accessed("48 89 05 10 00 00 00"), 8U);             // mov to memory
  EXPECT_EQ(accessed("ff 25 10 00 00 00"), 8U);                // jmp *
  EXPECT_EQ(accessed("ff 15 10 00 00 00"), 8U);                // call *
  EXPECT_EQ(accessed("ff 35 10 00 00 00"), 8U);                // push
  EXPECT_EQ(accessed("67 8b 05 10 00 00 00"), 4U);             // by eip
  EXPECT_EQ(accessed("66 0f 6f 05 10 00 00 00"), 16U);         // movdqa
  EXPECT_EQ(accessed("66 0f 38 00 05 10 00 00 00"), 16U);      // pshufb
  EXPECT_EQ(accessed("c4 e2 7d 00 05 10 00 00 00"), 32U);      // vpshufb, ymm
  EXPECT_EQ(accessed("62 f1 fd 48 6f 05 10 00 00 00"), 64U);   // vmovdqa64, zmm
  EXPECT_EQ(accessed("0f ae 25 10 00 00 00"), kWidestAccess);  // xsave
  EXPECT_EQ(accessed("48 8d 05 10 00 00 00"), 0U);             // lea
  EXPECT_EQ(accessed("0f 1f 05 10 00 00 00"), 0U);             // nop
  EXPECT_EQ(accessed("8b 04 25 10 00 00 00"), 0U);             // an absolute address
  EXPECT_EQ(accessed("8b 05 10 00 00"), 0U);                   // cut off
}

TEST(Decoder, MovesNoInstructionThatLeavesItsAddressBehind) {
  EXPECT_EQ(facts("d9 ee"), "2 falls");                                    // fldz
  EXPECT_EQ(facts("d9 05 10 00 00 00"), "6 falls rip@2 401016");           // flds
  EXPECT_EQ(facts("48 db 6c 24 08"), "5 falls prefixes 1");                // fldt
  EXPECT_EQ(facts("dd 1c 25 00 10 40 00"), "7 falls");                     // fstpl
  EXPECT_EQ(facts("da c1"), "2 falls");                                    // fcmovb
  EXPECT_EQ(facts("df e9"), "2 falls");                                    // fucomip
  EXPECT_EQ(facts("0f 01 d7"), "3 falls");                                 // enclu
  EXPECT_EQ(facts("8f ea 78 12 c0 01 00 00 00").substr(0, 7), "9 falls");  // lwpins
  EXPECT_EQ(facts("8f ea 78 12 c0 01 00 00 00").find("movable"), std::string::npos);
  // Those that control the x87 unit leave none: fldcw, fnstcw, fnstsw, fnstenv, fldenv, fnclex.
  for (const char* control :
       {"d9 6c 24 08", "d9 7c 24 08", "df e0", "d9 74 24 08", "d9 64 24 08", "db e2"})
    EXPECT_NE(facts(control).find("movable"), std::string::npos) << control;
}

TEST(Decoder, MovesNoEipRelativeOperand) {
  EXPECT_EQ(facts("67 8b 05 10 00 00 00").find("movable"), std::string::npos);
}

TEST(Decoder, MovesNothingThatDependsOnItsPlace) {
  for (const char* bytes : {"e8 00 00 00 00", "eb 00", "74 00", "ff d0", "ff e0", "c3", "cc",
                            "0f 0b", "f3 0f 1e fa", "0f 05", "cd 80", "c7 f8 00 00 00 00", "e3 00"})
    EXPECT_EQ(facts(bytes).find("movable"), std::string::npos) << bytes;
}

TEST(Decoder, KnowsWhatMovesTheStackPointer) {
  for (const char* bytes :
       {"50", "58", "6a 27", "c9", "48 83 ec 08", "48 83 c4 08", "48 81 ec 00 01 00 00", "48 89 fc",
        "48 8b e7", "48 8d 64 24 f0", "48 87 e0", "48 31 e4", "9c", "9d", "c8 00 00 00"})
    EXPECT_NE(facts(bytes).find("stack"), std::string::npos) << bytes << ": " << facts(bytes);
  for (const char* bytes : {"89 d0", "48 83 ef 08", "49 89 fc", "4c 89 e0", "b8 27 00 00 00"})
    EXPECT_EQ(facts(bytes).find("stack"), std::string::npos) << bytes << ": " << facts(bytes);
}

TEST(Decoder, KnowsWhatPutsARegisterWhereACallHasItsFourthArgument) {
  for (const char* bytes : {"49 89 ca", "4d 89 c2", "4c 8b d1", "4d 8b d0"})
    EXPECT_NE(facts(bytes).find("fourth"), std::string::npos) << bytes << ": " << facts(bytes);
  // From r10; edx; rdx; of 32 bits; to memory; from memory.
  for (const char* bytes : {"4c 89 d1", "89 ca", "48 89 ca", "41 89 ca", "49 89 0a", "4c 8b 11"})
    EXPECT_EQ(facts(bytes).find("fourth"), std::string::npos) << bytes << ": " << facts(bytes);
}

TEST(Decoder, KnowsWhatPutsANumberIntoRax) {
  EXPECT_EQ(facts("b8 27 00 00 00"), "5 falls movable rax=39");
  EXPECT_EQ(facts("48 c7 c0 0f 00 00 00"), "7 falls prefixes 1 movable rax=15");
  EXPECT_EQ(facts("31 c0"), "2 falls movable rax=0");
  EXPECT_EQ(facts("89 d0"), "2 falls movable rax");
  EXPECT_EQ(facts("0f b6 c2"), "3 falls movable rax");
  EXPECT_EQ(facts("0f 44 c2"), "3 falls movable rax");
  EXPECT_EQ(facts("0f af c2"), "3 falls movable rax");
  EXPECT_EQ(facts("0f 1f 00"), "3 falls nop movable");
  EXPECT_EQ(facts("0f 11 07"), "3 falls movable");  // movups %xmm0, (%rdi)
  EXPECT_EQ(facts("b8 ff ff ff ff"), "5 falls movable rax");
  EXPECT_EQ(facts("41 b8 27 00 00 00"), "6 falls prefixes 1 movable");  // r8d
  EXPECT_EQ(facts("b9 27 00 00 00"), "5 falls movable");
}

TEST(Decoder, CallsPrivilegedInstructionsUnlikely) {
  for (const char* bytes : {"fa", "fb", "e4 10", "ec", "0f 20 c0", "0f 30", "cd 81", "d7", "cf"})
    EXPECT_NE(facts(bytes).find("unlikely"), std::string::npos) << bytes << ": " << facts(bytes);
  // xgetbv is none, and compilers end what does not return with hlt.
  for (const char* bytes : {"0f 01 d0", "f4", "0f a2", "0f 31"})
    EXPECT_EQ(facts(bytes).find("unlikely"), std::string::npos) << bytes << ": " << facts(bytes);
}

TEST(Decoder, GivesNothingForWhatIsNoInstructionOrIsCutOff) {
  EXPECT_EQ(facts(""), "none");
  EXPECT_EQ(facts("06"), "none");
  EXPECT_EQ(facts("0f"), "none");
  EXPECT_EQ(facts("b8 27 00 00"), "none");
  EXPECT_EQ(facts("66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90"), "none");  // 16 bytes
  EXPECT_EQ(facts("66 66 66 66 66 66 66 66 66 66 66 66 66 66 90").substr(0, 2), "15");
}

TEST(Decoder, DecodesToTheFirstByteThatIsNoInstruction) {
  const Decoder decoder;
  const auto all = decoder.decode_all(hex("90 b8 01 00 00 00 c3 06 90"), kHere);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[1].address.value, 0x401001U);
  EXPECT_EQ(all[2].end().value, 0x401007U);
}

TEST(Decoder, FormatsAsObjdumpDoes) {
  const Decoder decoder;
  EXPECT_EQ(decoder.format(hex("48 89 e5"), kHere), "mov %rsp, %rbp");
  EXPECT_EQ(decoder.format(hex("06"), kHere), "(bad)");
  EXPECT_EQ(decoder.format({}, kHere), "(bad)");
}

TEST(Decoder, StaysInsideTheBufferOnRandomBytes) {
  const Decoder decoder;
  std::mt19937_64 random(5);
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes(random() % 17);  // of its own allocation, so that a sanitizer sees its end
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    const auto in = decoder.decode(bytes, kHere);
    if (!in) continue;
    ASSERT_GE(in->length, 1);
    ASSERT_LE(in->length, bytes.size());
    ASSERT_LT(in->prefixes, in->length);
    ASSERT_LE(in->rip_relative() ? in->displacement + 4 : 0, in->length);
    decoder.format(bytes, kHere);
  }
}

}  // namespace

}  // namespace sysrewrite
