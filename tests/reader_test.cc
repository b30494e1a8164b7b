// The short ways of reading code, each against the long way: a table for lengths against Zydis,
// outlines against decoded functions, and agreement with each place decoded once against decoding
// anew from each start.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "rewriter/agreement.h"
#include "rewriter/code_reader.h"
#include "rewriter/step.h"
#include "tests/elf_builder.h"
#include "tests/sanitized.h"

namespace sysrewrite {

namespace {

using namespace test;

// --- Steps

bool agree(const Step& step, const std::optional<Instruction>& in) {
  return in && in->length == step.length && in->falls_through() == step.falls_through &&
         in->direct == step.direct && (!in->direct || in->target - in->end() == step.distance) &&
         step.indirect_jump == (in->flow == Flow::kIndirectJump);
}

// An encoding: prefix and REX where they are not 0, 0F where `two_byte`, then these three.
Bytes encoding(unsigned prefix, unsigned rex, bool two_byte, std::initializer_list<unsigned> rest) {
  static const Bytes kBehind = hex("86 97 a8 b9 ca db ec fd 0e 1f 20 31");
  Bytes bytes;
  bytes.reserve(32);
  for (const unsigned byte : {prefix, rex, two_byte ? 0x0fU : 0U})
    if (byte != 0) bytes.push_back(static_cast<std::byte>(byte));
  for (const unsigned byte : rest) bytes.push_back(static_cast<std::byte>(byte));
  bytes.insert(bytes.end(), kBehind.begin(), kBehind.end());
  return bytes;
}

TEST(CommonStep, IsWhatZydisReadsWhateverTheEncoding) {
  const Decoder decoder;
  const auto every = static_cast<unsigned>(test::one_in(3));
  size_t known = 0;
  const auto check = [&](const Bytes& bytes) {
    const auto step = common_step(bytes);
    if (!step) return;
    ++known;
    ASSERT_TRUE(agree(*step, decoder.decode(bytes, {kCode})))
        << decoder.format(bytes, {kCode}) << ", taken for " << int{step->length} << " bytes";
    for (size_t size = 0; size < step->length && known % 16 == 0; ++size)
      ASSERT_FALSE(common_step(ByteView(bytes).first(size))) << size;
    // Where nothing follows, and so no more can be read than there is.
    const auto last = common_step(ByteView(bytes).first(step->length));
    ASSERT_TRUE(last && last->length == step->length && last->distance == step->distance);
  };
  for (const unsigned prefix : {0x00U, 0x66U, 0xf2U, 0xf3U, 0x64U, 0x65U})
    for (const unsigned rex : {0x00U, 0x40U, 0x45U, 0x48U})
      for (const bool two_byte : {false, true})
        for (unsigned opcode = 0; opcode < 256; ++opcode)
          for (unsigned modrm = opcode % every; modrm < 256; modrm += every) {
            check(encoding(prefix, rex, two_byte, {opcode, modrm, 0x00}));
            if ((modrm & 7) == 4) check(encoding(prefix, rex, two_byte, {opcode, modrm, 0x25}));
            if (HasFatalFailure()) return;
          }
  EXPECT_GT(known, 700'000U / every);
}

TEST(CommonStep, LeavesWhatIsRareToZydis) {
  for (const char* rare : {"0f 05", "0f 34", "cd 80", "f0 48 ff 00", "c5 f8 77", "66 66 90",
                           "66 e8 00 00 00 00", "2e 74 00", "0f 0b", "f4", "48", "66", ""})
    EXPECT_FALSE(common_step(hex(rare))) << rare;
  const Decoder decoder;
  const auto locked = decoder.step(hex("f0 48 ff 00"));
  ASSERT_TRUE(locked);
  EXPECT_EQ(locked->length, 4U);
  EXPECT_FALSE(decoder.step(hex("06")));
  const auto branch = decoder.step(hex("2e 74 f0"));
  ASSERT_TRUE(branch);
  EXPECT_TRUE(branch->direct);
  EXPECT_EQ(branch->distance, -16);
}

// --- Outlines and agreement

// Code as hostile as random bytes with branches into the middle of everything are.
Bytes random_code(std::mt19937_64& random, size_t size) {
  Bytes code;
  while (code.size() < size) {
    const char* kPieces[] = {"0f 05",          "b8 27 00 00 00", "48 89 c7", "90", "c3",
                             "0f 1f 44 00 00", "e9 05 00 00 00", "f0 ff 00", "cc", "ff e0"};
    const auto kind = random() % 16;
    if (kind < 10) {
      code = code + hex(kPieces[kind]);
    } else if (kind < 14) {
      code.push_back(static_cast<std::byte>(kind < 12 ? 0xeb : 0x74));
      code.push_back(static_cast<std::byte>(random() % 40 - 20));
    } else {
      code.push_back(static_cast<std::byte>(random()));
    }
  }
  return code;
}

// The instructions of a function, decoded one by one and sorted: first what flow reaches, then what
// lies between.
struct PlainFunction {
  std::vector<Instruction> code;
  std::map<uint64_t, uint8_t> overlapping;  // address and length
  bool lost_step = false;
};

PlainFunction plain_function(const Decoder& decoder, ByteView body, Vaddr start) {
  PlainFunction out;
  std::map<uint64_t, std::optional<Instruction>> reached;
  std::vector<uint64_t> work{0};
  while (!work.empty()) {
    const uint64_t at = work.back();
    work.pop_back();
    if (at >= body.size() || reached.contains(at)) continue;
    auto in = decoder.decode(body.subspan(at), start + at);
    out.lost_step |= !in;
    reached[at] = in;
    if (!in) continue;
    if (in->falls_through()) work.push_back(at + in->length);
    if (in->direct) work.push_back(static_cast<uint64_t>(in->target - start));
  }
  uint64_t at = 0;
  const auto sweep_to = [&](uint64_t border) {
    while (at < border) {
      const auto in = decoder.decode(body.subspan(at), start + at);
      const bool fits = in && at + in->length <= border;
      out.lost_step |= !fits;
      if (!fits) return;
      out.code.push_back(*in);
      at += in->length;
    }
  };
  for (auto& [where, in] : reached) {
    if (!in) continue;
    out.lost_step |= where < at;
    if (where < at) out.overlapping[start.value + where] = in->length;
    if (where < at) continue;
    sweep_to(where);
    in->reached = true;
    out.code.push_back(*in);
    at = where + in->length;
  }
  sweep_to(body.size());
  for (const Instruction& from : out.code)
    for (const Instruction& over : out.code)
      if (!from.reached && from.direct && from.target > over.address && from.target < over.end())
        if (const auto in = decoder.decode(body.subspan(static_cast<uint64_t>(from.target - start)),
                                           from.target))
          out.overlapping[from.target.value] = in->length;
  return out;
}

void expect_same(const Outline& outline, const PlainFunction& plain) {
  EXPECT_EQ(outline.lost_step(), plain.lost_step);
  auto span = outline.next(outline.start());
  for (const Instruction& in : plain.code) {
    ASSERT_TRUE(span);
    ASSERT_EQ(span->address, in.address);
    ASSERT_EQ(span->length, in.length);
    ASSERT_EQ(span->reached, in.reached);
    for (uint64_t i = 0; i < in.length; ++i) {
      const auto held = outline.holding(in.address + i);
      ASSERT_TRUE(held);
      ASSERT_EQ(held->address, in.address);
    }
    const auto previous = outline.previous(in.end());
    ASSERT_TRUE(previous);
    ASSERT_EQ(previous->address, in.address);
    span = outline.next(span->end());
  }
  ASSERT_FALSE(span);
  std::map<uint64_t, uint8_t> overlapping;
  for (const auto& other : outline.overlapping({0}, {UINT64_MAX}))
    overlapping[other.address.value] = other.length;
  ASSERT_EQ(overlapping, plain.overlapping);
  for (const auto& [address, length] : plain.overlapping) {
    EXPECT_FALSE(outline.overlapping({address + length - 1}, {address + length}).empty());
    EXPECT_FALSE(outline.overlapping({address}, {address + 1}).empty());
  }
  const Vaddr end = plain.code.empty() ? outline.start() : plain.code.back().end();
  ASSERT_EQ(outline.end_of_code(), end);
  ASSERT_FALSE(outline.holding(end));
  EXPECT_EQ(outline.indirect_jump(),
            std::any_of(plain.code.begin(), plain.code.end(),
                        [](const Instruction& in) { return in.flow == Flow::kIndirectJump; }));
}

TEST(Outline, IsThatOfAFunctionDecodedInstructionByInstruction) {
  const Decoder decoder;
  std::mt19937_64 random(7);
  size_t lost = 0;
  for (int round = 0; round < 1000; ++round) {
    Bytes code = random_code(random, 1 + random() % 300);
    if (round % 4 == 0) code = repeat(0x90, code.size() / 2) + hex("ff e0") + code;
    expect_same(Outline(decoder, code, {kCode}), plain_function(decoder, code, {kCode}));
    if (HasFatalFailure()) FAIL() << round;
    lost += Outline(decoder, code, {kCode}).lost_step() ? 1 : 0;
  }
  EXPECT_GT(lost, 100U);
  EXPECT_LT(lost, 900U);
}

TEST(CodeReader, NamesTheHolderThatItWouldHaveDescribed) {
  std::mt19937_64 random(10);
  for (int round = 0; round < 100; ++round) {
    const size_t size = 1 + random() % 300;
    const Bytes file = ElfBuilder(elf::kTypeDyn)
                           .code(kCode, random_code(random, size + 20))
                           .symbol("f", kCode, size)
                           .entry(0)
                           .build();
    const auto image = ElfImage::parse(file);
    const FunctionIndex functions = FunctionIndex::build(*image);
    CodeReader reader(*image, functions);
    for (uint64_t at = kCode; at < kCode + size + 20; ++at) {
      const auto holder = reader.holder_of({at});
      const auto around = reader.around({at});
      const Instruction* in = around ? around->holding({at}) : nullptr;
      ASSERT_EQ(holder.has_value(), in != nullptr) << round << " " << at - kCode;
      if (in == nullptr) continue;
      ASSERT_EQ(holder->start, in->address) << round << " " << at - kCode;
      ASSERT_EQ(holder->end, in->end()) << round << " " << at - kCode;
      ASSERT_EQ(holder->reached, in->reached) << round << " " << at - kCode;
      ASSERT_EQ(holder->trust, around->trust) << round << " " << at - kCode;
    }
  }
}

// A branch goes into a mov's immediate and comes to a syscall that the mov holds too. Flow that
// stopped at the first instruction over the pair would answer by the way that it took first; the
// outline takes the lower one, as a decoded function does.
TEST(Outline, TakesTheLowerOfTwoThatOverlapWhicheverFlowComesToFirst) {
  const Decoder decoder;
  const Bytes mov_first = hex("74 01 b8 90 90 0f 05 c3");  // je into the mov, which comes behind it
  const Outline one(decoder, mov_first, {kCode});
  const auto held = one.holding({kCode + 5});
  ASSERT_TRUE(held);
  EXPECT_EQ(held->address.value, kCode + 2);
  const Bytes mov_last = hex("eb 05 b8 90 90 0f 05 74 fc eb f7 c3");  // je +5, then jmp +2
  const Outline two(decoder, mov_last, {kCode});
  const auto also = two.holding({kCode + 5});
  ASSERT_TRUE(also);
  EXPECT_EQ(also->address.value, kCode + 2);
  EXPECT_TRUE(also->reached);
  // The syscall, and what it goes on to, are known all the same.
  ASSERT_EQ(one.overlapping({kCode + 5}, {kCode + 6}).size(), 1U);
  EXPECT_EQ(one.overlapping({kCode + 5}, {kCode + 6})[0].address.value, kCode + 5);
  EXPECT_EQ(two.overlapping({kCode}, {kCode + 12}).size(), 1U);
}

TEST(Outline, OfBytesThatAreNoInstructionsHoldsNothing) {
  const Decoder decoder;
  const Outline outline(decoder, hex("06 90 90"), {kCode});
  EXPECT_EQ(outline.end_of_code().value, kCode);
  for (uint64_t at = kCode - 1; at < kCode + 5; ++at) EXPECT_FALSE(outline.holding({at}));
  const Outline empty(decoder, {}, {kCode});
  EXPECT_FALSE(empty.holding({kCode}));
}

// From each of so many starts, so far in front, anew; all that it meets counted.
std::optional<Vaddr> plain_agreement(const ElfImage& image, const Decoder& decoder, Vaddr address,
                                     uint64_t reach, uint64_t distance, uint64_t starts) {
  const Segment& segment = image.segments()[0];
  const Vaddr first = address - std::min<uint64_t>(address.value - segment.vaddr.value, distance);
  const ByteView bytes = *image.bytes_from(first);
  const uint64_t length = std::min<uint64_t>(bytes.size(), address.value - first.value + reach);
  std::map<uint64_t, std::pair<size_t, uint8_t>> seen;
  size_t survivors = 0;
  for (uint64_t skip = 0; skip < starts && first + skip <= address; ++skip) {
    const auto code = decoder.decode_all(bytes.first(length).subspan(skip), first + skip);
    if (code.empty() || code.back().end() <= address) continue;
    ++survivors;
    for (const Instruction& in : code)
      ++seen.try_emplace(in.address.value, 0, in.length).first->second.first;
  }
  if (survivors < 4) return std::nullopt;
  std::optional<Vaddr> holder;
  uint64_t end = 0;
  for (const auto& [where, entry] : seen) {
    if (entry.first != survivors) continue;
    if (where < end) return std::nullopt;
    if (where + entry.second + reach <= address.value || where >= address.value + reach) continue;
    end = where + entry.second;
    if (address.value >= where && address.value < end) holder = Vaddr{where};
  }
  return holder;
}

std::optional<Vaddr> plain_agreement(const ElfImage& image, const Decoder& decoder, Vaddr address,
                                     uint64_t reach) {
  for (const uint64_t times : {1U, 2U, 4U})
    if (const auto found = plain_agreement(image, decoder, address, reach, 160 * times, 16 * times))
      return found;
  return std::nullopt;
}

TEST(Agreement, IsThatOfDecodingAnewFromEachStart) {
  constexpr uint64_t kReach = 148;
  std::mt19937_64 random(8);
  const Decoder decoder;
  size_t agreed = 0, disagreed = 0;
  for (int round = 0; round < 60; ++round) {
    Bytes code = random_code(random, 1 + random() % 500);
    if (round % 3 == 0)
      for (size_t i = 0; i < code.size(); i += 1 + random() % 60)
        code[i] = static_cast<std::byte>(random());
    const Bytes file = ElfBuilder(elf::kTypeDyn).code(kCode, code).entry(0).build();
    const auto image = ElfImage::parse(file);
    StepLengths lengths(decoder);
    for (uint64_t at = kCode; at < kCode + code.size(); at += 1 + random() % 7) {
      const auto plain = plain_agreement(*image, decoder, {at}, kReach);
      ASSERT_EQ(agreed_start(*image, lengths, {at}, kReach), plain) << round << " " << at - kCode;
      const auto starts = agreed_starts(*image, lengths, {at}, kReach);
      ASSERT_EQ(starts.has_value(), plain.has_value());
      ++(plain ? agreed : disagreed);
    }
  }
  EXPECT_GT(std::min(agreed, disagreed), 100U);
}

}  // namespace

}  // namespace sysrewrite
