#include "trampoline/stub.h"

#include <gtest/gtest.h>

#include "tests/byte_literals.h"
#include "trampoline/layout.h"

namespace sysrewrite {

namespace {

using test::to_hex;

constexpr Vaddr kEnter{0x401100}, kSlot{0x400000}, kAfter{0x500002};

std::string core_hex(StubKind kind, bool native_tail) {
  const auto core = make_stub_core(kind, native_tail, kEnter, kSlot, kAfter);
  EXPECT_TRUE(core);
  EXPECT_EQ(core->size, stub_core_size(kind, native_tail));
  return to_hex(ByteView(core->bytes).first(core->size));
}

// Each row: bytes, and beside them what a disassembler says; displacements count from the row's
// end.
TEST(StubCore, OfARedzoneStubWithNativeTailIsThisListing) {
  EXPECT_EQ(core_hex(StubKind::kRedzone, true),
            "48 8d 64 24 80 "           // 401100 lea -0x80(%rsp), %rsp
            "48 8d 0d 0d 00 00 00 "     // 401105 lea 0x401119(%rip), %rcx
            "4c 8d 1d ed ff ff ff "     // 40110c lea 0x401100(%rip), %r11
            "ff 25 e7 ee ff ff "        // 401113 jmp *0x400000(%rip)
            "eb 0a "                    // 401119 jmp 0x401125
            "48 8d a4 24 80 00 00 00 "  // 40111b lea 0x80(%rsp), %rsp
            "0f 05 "                    // 401123 syscall
            "48 8d 0d d6 ee 0f 00");    // 401125 lea 0x500002(%rip), %rcx
}

TEST(StubCore, OfAPlainStubWithNativeTailIsThisListing) {
  EXPECT_EQ(core_hex(StubKind::kPlain, true),
            "48 8d 0d 06 00 00 00 "   // 401100 lea 0x40110d(%rip), %rcx
            "ff 25 f3 ee ff ff "      // 401107 jmp *0x400000(%rip)
            "eb 02 "                  // 40110d jmp 0x401111
            "0f 05 "                  // 40110f syscall
            "48 8d 0d ea ee 0f 00");  // 401111 lea 0x500002(%rip), %rcx
}

TEST(StubCore, OfARedzoneStubWithoutTailIsThisListing) {
  EXPECT_EQ(core_hex(StubKind::kRedzone, false),
            "48 8d 64 24 80 "         // 401100 lea -0x80(%rsp), %rsp
            "48 8d 0d 0d 00 00 00 "   // 401105 lea 0x401119(%rip), %rcx
            "4c 8d 1d ed ff ff ff "   // 40110c lea 0x401100(%rip), %r11
            "ff 25 e7 ee ff ff "      // 401113 jmp *0x400000(%rip)
            "48 8d 0d e2 ee 0f 00");  // 401119 lea 0x500002(%rip), %rcx
}

TEST(StubCore, OfAPlainStubWithoutTailIsThisListing) {
  EXPECT_EQ(core_hex(StubKind::kPlain, false),
            "48 8d 0d 06 00 00 00 "   // 401100 lea 0x40110d(%rip), %rcx
            "ff 25 f3 ee ff ff "      // 401107 jmp *0x400000(%rip)
            "48 8d 0d ee ee 0f 00");  // 40110d lea 0x500002(%rip), %rcx
}

class EveryStub : public testing::TestWithParam<std::tuple<StubKind, bool>> {};

TEST_P(EveryStub, ResumesDirectlyBehindTheIndirectJump) {
  const auto [kind, tail] = GetParam();
  const auto core = *make_stub_core(kind, tail, kEnter, kSlot, kAfter);
  ASSERT_GE(core.resume, 6);
  EXPECT_EQ(to_hex(ByteView(core.bytes).subspan(core.resume - 6, 2)), "ff 25");
}

TEST_P(EveryStub, HandsOverTheResumePointInRcx) {
  const auto [kind, tail] = GetParam();
  const auto core = *make_stub_core(kind, tail, kEnter, kSlot, kAfter);
  const size_t lea = kind == StubKind::kRedzone ? 5 : 0;
  EXPECT_EQ(to_hex(ByteView(core.bytes).subspan(lea, 3)), "48 8d 0d");
  const auto displacement = load<int32_t>(ByteView(core.bytes), lea + 3);
  EXPECT_EQ(static_cast<int32_t>(lea) + 7 + *displacement, core.resume);
}

TEST_P(EveryStub, IsRefusedWhereTheSlotIsOutOfReach) {
  const auto [kind, tail] = GetParam();
  const Vaddr far = kEnter + (uint64_t{1} << 31) + 64;
  EXPECT_FALSE(make_stub_core(kind, tail, kEnter, far, kAfter));
}

TEST_P(EveryStub, IsRefusedWhereTheSiteIsOutOfReach) {
  const auto [kind, tail] = GetParam();
  const Vaddr far = kEnter - (uint64_t{1} << 31) - 64;
  EXPECT_FALSE(make_stub_core(kind, tail, kEnter, kSlot, far));
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryStub,
                         testing::Combine(testing::Values(StubKind::kRedzone, StubKind::kPlain),
                                          testing::Bool()));

TEST(StubCore, WithATailHasItAtAFixedDistanceFromResume) {
  const auto redzone = *make_stub_core(StubKind::kRedzone, true, kEnter, kSlot, kAfter);
  EXPECT_EQ(redzone.resume, SYSREWRITE_RESTART_BEFORE_RESUME);
  const size_t tail = redzone.resume + SYSREWRITE_TAIL_FROM_RESUME;
  EXPECT_EQ(to_hex(ByteView(redzone.bytes).subspan(tail, 4)), "48 8d a4 24");  // lea 0x80(%rsp)
  EXPECT_EQ(load<uint32_t>(ByteView(redzone.bytes), tail + 4), uint32_t{SYSREWRITE_RED_ZONE});
  const auto plain = *make_stub_core(StubKind::kPlain, true, kEnter, kSlot, kAfter);
  EXPECT_EQ(to_hex(ByteView(plain.bytes).subspan(plain.resume + SYSREWRITE_TAIL_FROM_RESUME, 2)),
            "0f 05");
}

TEST(StubCore, RestartsAtItsOwnFirstByte) {
  const auto core = *make_stub_core(StubKind::kRedzone, true, kEnter, kSlot, kAfter);
  EXPECT_EQ(to_hex(ByteView(core.bytes).subspan(12, 3)), "4c 8d 1d");  // lea enter(%rip), %r11
  EXPECT_EQ(12 + 7 + *load<int32_t>(ByteView(core.bytes), 15), 0);
}

TEST(StubCore, HasTheSizesThatTheLayoutCountsOn) {
  EXPECT_EQ(stub_core_size(StubKind::kRedzone, true), 44);
  EXPECT_EQ(stub_core_size(StubKind::kRedzone, false), 32);
  EXPECT_EQ(stub_core_size(StubKind::kPlain, true), 24);
  EXPECT_EQ(stub_core_size(StubKind::kPlain, false), 20);
}

TEST(MakeJump, CountsFromItsEnd) {
  EXPECT_EQ(to_hex(*make_jump({0x1000}, {0x2000})), "e9 fb 0f 00 00");
  EXPECT_EQ(to_hex(*make_jump({0x1000}, {0x1000})), "e9 fb ff ff ff");
  EXPECT_TRUE(make_jump({0}, {0x80000004}));
  EXPECT_FALSE(make_jump({0}, {0x80000005}));
}

TEST(MakeShortJump, CountsFromItsEnd) {
  EXPECT_EQ(to_hex(*make_short_jump({0x1000}, {0x1000})), "eb fe");
  EXPECT_EQ(to_hex(*make_short_jump({0x1000}, {0x1081})), "eb 7f");
  EXPECT_FALSE(make_short_jump({0x1000}, {0x1082}));
  EXPECT_EQ(to_hex(*make_short_jump({0x1000}, {0x0f82})), "eb 80");
  EXPECT_FALSE(make_short_jump({0x1000}, {0x0f81}));
}

}  // namespace

}  // namespace sysrewrite
