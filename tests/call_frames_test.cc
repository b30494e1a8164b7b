// Unwind tables: what the evaluator makes of programs, and that what is written is read back.
#include <gtest/gtest.h>

#include "rewriter/frame_writer.h"
#include "tests/byte_literals.h"

namespace sysrewrite {

namespace {

using namespace test;
using Kind = RegisterRule::Kind;

// A .debug_frame of one CIE (code alignment 1, data alignment -8) and one FDE over [0x1000,
// 0x1100).
Bytes table(const Bytes& common, const Bytes& own) {
  const auto filled = [](Bytes bytes) {
    while (bytes.size() % 4 != 0) bytes.push_back(std::byte{0});
    return bytes_of(static_cast<uint32_t>(bytes.size())) + bytes;
  };
  return filled(hex("ff ff ff ff 01 00 01 78 10") + common) +
         filled(hex("00 00 00 00 00 10 00 00 00 00 00 00 00 01 00 00 00 00 00 00") + own);
}

const Bytes kOnStack = hex("0c 07 08 90 01");  // cfa = rsp+8, return address at cfa-8

std::optional<std::vector<FrameRow>> rows(const Bytes& bytes, const std::vector<Vaddr>& addresses) {
  const CallFrames frames = CallFrames::read(bytes, {0}, FrameStyle::kDebugFrame);
  const CallFrame* frame = frames.covering({0x1000});
  if (frame == nullptr) return std::nullopt;
  return FrameEvaluator().rows_at(*frame, addresses);
}

TEST(CallFrames, APushMovesTheFrameFromTheNextInstructionOn) {
  const auto found = rows(table(kOnStack, hex("41 0e 10 83 02")), {{0x1000}, {0x1001}, {0x1100}});
  ASSERT_TRUE(found);
  EXPECT_EQ((*found)[0].cfa_offset, 8);
  EXPECT_EQ((*found)[0].registers[3], RegisterRule{});
  EXPECT_EQ((*found)[1].cfa_offset, 16);
  EXPECT_EQ((*found)[1].registers[3], (RegisterRule{Kind::kOffset, -16, {}}));
  EXPECT_EQ((*found)[2], (*found)[1]) << "at the end what holds behind the last instruction";
}

TEST(CallFrames, RememberedRowsComeBackWithTheirFrame) {
  const auto found =
      rows(table(kOnStack, hex("44 0e 20 0a 41 0e 08 41 0b")), {{0x1004}, {0x1005}, {0x1006}});
  ASSERT_TRUE(found);
  EXPECT_EQ((*found)[0].cfa_offset, 32);
  EXPECT_EQ((*found)[1].cfa_offset, 8);
  EXPECT_EQ((*found)[2], (*found)[0]);
}

TEST(CallFrames, ProgramsThatMakeNoSenseAreNotAnswered) {
  for (const char* program : {"0b", "3f", "0f 05", "00 41 0c 07", "0c 40 08", "0f 00", "01"})
    EXPECT_FALSE(rows(table(kOnStack, hex(program)), {{0x1002}})) << program;
}

// An expression of 20,000 bytes, in each of as many rows as are asked for.
TEST(CallFrames, RowsWithLongExpressionsAreNotCopiedWithoutEnd) {
  const Bytes own = hex("10 03 a0 9c 01") + repeat(0x96, 20000);
  const Bytes bytes = table(kOnStack, own);
  EXPECT_TRUE(rows(bytes, {{0x1000}, {0x1001}}));
  std::vector<Vaddr> many;
  for (uint64_t i = 0; i < 64; ++i) many.push_back({0x1000 + i});
  EXPECT_FALSE(rows(bytes, many));
}

TEST(CallFrames, RowsForALowerStackSayThatOfEveryRegister) {
  FrameRow row;
  row.cfa_offset = 8;
  EXPECT_EQ(row.with_lower_stack(128)->cfa_offset, 136);
  row.cfa_register = 6;  // rbp stays where it is
  EXPECT_EQ(row.with_lower_stack(128), row);
  row.cfa_expression = hex("77 08 80 00 1a");  // breg7 8; breg16 0; and
  EXPECT_EQ(row.with_lower_stack(128)->cfa_expression, hex("77 88 01 80 00 1a"));
  row.cfa_expression = hex("77 08 28 00 00");  // a jump, over what has grown
  EXPECT_FALSE(row.with_lower_stack(128));
}

FrameRow odd_row() {
  FrameRow row;
  row.cfa_register = 6;
  row.cfa_offset = 16;
  row.registers[3] = {Kind::kOffset, -24, {}};
  row.registers[6] = {Kind::kOffset, 8, {}};
  row.registers[12] = {Kind::kRegister, 13, {}};
  row.registers[13] = {Kind::kUndefined, 0, {}};
  row.registers[14] = {Kind::kSameValue, 0, {}};
  row.registers[15] = {Kind::kValOffset, -16, {}};
  row.registers[8] = {Kind::kExpression, 0, hex("77 00")};
  row.registers[9] = {Kind::kValExpression, 0, hex("77 08")};
  row.registers[16] = {Kind::kUndefined, 0, {}};
  return row;
}

class WrittenFrames : public testing::TestWithParam<FrameStyle> {};

TEST_P(WrittenFrames, AreReadAsTheyWereMeant) {
  FrameRow plain, expression;
  plain.cfa_offset = 8;
  plain.registers[kFrameReturn] = {Kind::kOffset, -8, {}};
  expression = plain;
  expression.cfa_expression = hex("77 88 01");
  const std::vector<FramePoint> points = {
      {0, odd_row()}, {3, plain}, {100, expression}, {101, odd_row()}};
  const std::vector<WrittenFrame> frames = {{{0x2000}, 40, false, {{0, plain}, {5, expression}}},
                                            {{0x3000}, 200, true, points}};
  const auto written = write_frames(frames, GetParam(), 0, {0x10000});
  ASSERT_TRUE(written);
  EXPECT_EQ(written->places.size(), 2U);
  const CallFrames back = CallFrames::read(written->bytes, {0x10000}, GetParam());
  EXPECT_EQ(back.covering({0x2028}), nullptr);
  EXPECT_FALSE(back.covering({0x2000})->common.signal_frame);
  const CallFrame* frame = back.covering({0x3000});
  ASSERT_NE(frame, nullptr);
  EXPECT_TRUE(frame->common.signal_frame);
  EXPECT_EQ(frame->own.size, 200U);
  FrameEvaluator evaluator;
  const auto found =
      evaluator.rows_at(*frame, {{0x3000}, {0x3002}, {0x3003}, {0x3063}, {0x3064}, {0x3065}});
  ASSERT_TRUE(found);
  EXPECT_EQ(*found,
            (std::vector<FrameRow>{odd_row(), odd_row(), plain, plain, expression, odd_row()}));
}

INSTANTIATE_TEST_SUITE_P(Styles, WrittenFrames,
                         testing::Values(FrameStyle::kEhFrame, FrameStyle::kDebugFrame));

TEST(WrittenFrame, CannotHoldWhatIsNoMultipleOfAWord) {
  FrameRow row;
  row.registers[3] = {Kind::kOffset, -12, {}};
  EXPECT_FALSE(can_write({{0x1000}, 8, false, {{0, row}}}));
}

}  // namespace

}  // namespace sysrewrite
