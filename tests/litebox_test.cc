// --format=litebox: accepted by the checks of LiteBox's loader, without a system call, and its
// stubs reach the callback that stands in the slot.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstddef>

#include "rewriter/candidates.h"
#include "rewriter/decoder.h"
#include "tests/litebox_loader.h"
#include "tests/rewrites.h"
#include "tests/sample_files.h"

// A callback as LiteBox has one: it remembers what it was given, answers 42 in rax, and goes on at
// rcx. `redzone` undoes the stub's step over the red zone first.
extern "C" {
uint64_t litebox_seen[6];  // rax, rdi, rcx, r11, rsp, calls
void litebox_callback_redzone();
void litebox_callback_plain();
// Calls `function` with rax = number, rdi = argument and marks in rbx and r12; returns rax.
uint64_t litebox_run(uint64_t function, uint64_t number, uint64_t argument, uint64_t after[3]);
}
asm(R"(
        .text
        .macro  remember
        mov     %rax, litebox_seen(%rip)
        mov     %rdi, litebox_seen+8(%rip)
        mov     %rcx, litebox_seen+16(%rip)
        mov     %r11, litebox_seen+24(%rip)
        mov     %rsp, litebox_seen+32(%rip)
        incq    litebox_seen+40(%rip)
        .endm

        .globl  litebox_callback_redzone
litebox_callback_redzone:
        remember
        lea     0x80(%rsp), %rsp
        mov     $42, %eax
        jmp     *%rcx

        .globl  litebox_callback_plain
litebox_callback_plain:
        remember
        mov     $42, %eax
        jmp     *%rcx

        .globl  litebox_run
litebox_run:
        push    %rbx
        push    %r12
        push    %r13
        mov     %rcx, %r13
        mov     %rdi, %rbx
        mov     %rsi, %rax
        mov     %rdx, %rdi
        mov     %rsp, %r12
        call    *%rbx
        mov     %rcx, (%r13)            # what the program finds in rcx
        mov     %rsp, %rdx
        sub     %r12, %rdx
        mov     %rdx, 8(%r13)           # 0: rsp is what it was
        mov     %rdi, 16(%r13)
        pop     %r13
        pop     %r12
        pop     %rbx
        ret
)");

namespace sysrewrite {

namespace {

using namespace test;

Options litebox(StubKind stub = StubKind::kRedzone) {
  Options options;
  options.format = Format::kLitebox;
  options.native_tail = false;
  options.stub = stub;
  return options;
}

// f: a function with each kind of window, called one after the other; returns behind each.
//   f1 at +0:  mov $39, %eax; syscall; ret                    A
//   f2 at +16: syscall; ret; padding                          B
//   f3 at +24: mov %rdi, %rsi; mov %edi, %eax; syscall; ret   C
//   f4 at +32: syscall; mov %rax, %rdi; ret                   C, behind
ElfBuilder four_functions(uint16_t type) {
  const uint64_t start = type == elf::kTypeDyn ? 0x1000 : 0x20000000;
  const Bytes code = hex("b8 27 00 00 00 0f 05 c3") + repeat(0x50, 8) +  // no padding
                     hex("0f 05 c3") + repeat(0xcc, 5) + hex("48 89 fe 89 f8 0f 05 c3") +
                     hex("0f 05 48 89 c7 c3");
  return ElfBuilder(type)
      .code(start, code)
      .symbol("f1", start, 8)
      .symbol("f2", start + 16, 3)
      .symbol("f3", start + 24, 8)
      .symbol("f4", start + 32, 6);
}

TEST(LiteboxFormat, IsAcceptedByTheChecksOfItsLoader) {
  for (const uint16_t type : {elf::kTypeDyn, elf::kTypeExec}) {
    const Bytes input = four_functions(type).build();
    EXPECT_EQ(LiteboxImage::check(input), LiteboxVerdict::kUnpatched);
    EXPECT_EQ(LiteboxImage::check(rewrite_whole(input, litebox()).output),
              LiteboxVerdict::kPatched);
  }
}

TEST(LiteboxFormat, OfAFileWithoutSystemCallsSaysSo) {
  const Whole whole = rewrite_whole(code_file(hex("c3")).build(), litebox());
  EXPECT_EQ(LiteboxImage::check(whole.output), LiteboxVerdict::kNothingToDo);
  EXPECT_EQ(to_hex(ByteView(whole.output).last(24)),
            "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
}

// The checks themselves: each of them must be able to fail.
TEST(LiteboxChecks, RefuseWhatDoesNotHold) {
  const Bytes good = rewrite_whole(four_functions(elf::kTypeDyn).build(), litebox()).output;
  const uint64_t trailer = good.size() - 32;
  const auto verdict = [&](uint64_t at, auto value) {
    return LiteboxImage::check(with(good, at, value));
  };
  EXPECT_EQ(verdict(trailer + 7, uint8_t{'1'}), LiteboxVerdict::kBadVersion);
  EXPECT_EQ(verdict(trailer, uint8_t{'X'}), LiteboxVerdict::kUnpatched);
  EXPECT_EQ(verdict(trailer + 8, uint64_t{1}), LiteboxVerdict::kBadTrampoline);
  EXPECT_EQ(verdict(trailer + 8, uint64_t{0}), LiteboxVerdict::kBadTrampoline);
  EXPECT_EQ(verdict(trailer + 16, uint64_t{8}), LiteboxVerdict::kBadTrampoline);
  EXPECT_EQ(verdict(trailer + 16, uint64_t{0} - 4096), LiteboxVerdict::kBadTrampoline);
  EXPECT_EQ(verdict(trailer + 24, uint64_t{1}), LiteboxVerdict::kBadTrampoline);
  EXPECT_EQ(verdict(offsetof(elf::Ehdr, phentsize), uint16_t{57}), LiteboxVerdict::kBadFormat);
  EXPECT_EQ(verdict(offsetof(elf::Ehdr, type), elf::kTypeCore), LiteboxVerdict::kUnsupportedType);
}

struct Trip {
  uint64_t result;
  uint64_t after[3];  // rcx, how far rsp moved, rdi
};

Trip run(const LiteboxImage& image, uint64_t function, uint64_t number, uint64_t argument) {
  Trip trip{};
  std::fill(std::begin(litebox_seen), std::end(litebox_seen), 0);
  trip.result = litebox_run(image.base() + function, number, argument, trip.after);
  return trip;
}

class LiteboxCall : public testing::TestWithParam<std::tuple<StubKind, uint16_t>> {
 protected:
  void SetUp() override {
    const auto [stub, type] = GetParam();
    start_ = type == elf::kTypeDyn ? 0x1000 : 0x20000000;
    redzone_ = stub == StubKind::kRedzone;
    whole_ = rewrite_whole(four_functions(type).build(), litebox(stub));
    const auto callback = redzone_ ? litebox_callback_redzone : litebox_callback_plain;
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): code as an address
    image_.emplace(whole_.output, reinterpret_cast<uint64_t>(callback));
    ASSERT_TRUE(image_->mapped());
  }

  // rcx - 6 is the stub's indirect jump, in memory.
  void expect_jump_before(uint64_t resume) const {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast,performance-no-int-to-ptr)
    const void* jump = reinterpret_cast<const void*>(resume - 6);
    EXPECT_EQ(to_hex(as_byte_view(jump, 2)), "ff 25");
  }

  uint64_t start_ = 0;
  bool redzone_ = false;
  Whole whole_;
  std::optional<LiteboxImage> image_;
};

TEST_P(LiteboxCall, HasOneWindowOfEachKind) {
  std::string tiers;
  for (const SiteReport& site : whole_.report.sites) tiers += static_cast<char>(site.tier);
  EXPECT_EQ(tiers, "ABCC");
}

TEST_P(LiteboxCall, ArrivesWithItsNumberAndArguments) {
  const Trip first = run(*image_, start_, 7, 1111);
  EXPECT_EQ(litebox_seen[5], 1U);
  EXPECT_EQ(litebox_seen[0], 39U);  // the displaced mov ran
  EXPECT_EQ(litebox_seen[1], 1111U);
  EXPECT_EQ(first.result, 42U);
  expect_jump_before(litebox_seen[2]);
  const Trip second = run(*image_, start_ + 16, 7, 2222);
  EXPECT_EQ(litebox_seen[0], 7U);
  EXPECT_EQ(litebox_seen[1], 2222U);
  EXPECT_EQ(second.result, 42U);
  const Trip third = run(*image_, start_ + 24, 7, 3333);
  EXPECT_EQ(litebox_seen[0], 3333U);  // mov %edi, %eax ran
  EXPECT_EQ(third.result, 42U);
  const Trip fourth = run(*image_, start_ + 32, 7, 4444);
  EXPECT_EQ(litebox_seen[0], 7U);
  EXPECT_EQ(fourth.after[2], 42U);  // mov %rax, %rdi ran behind the call
}

TEST_P(LiteboxCall, ComesBackWithRcxBehindTheSyscallAndRspAsItWas) {
  const uint64_t sites[] = {5, 16, 29, 32};
  const uint64_t functions[] = {0, 16, 24, 32};
  for (size_t i = 0; i < 4; ++i) {
    const Trip one = run(*image_, start_ + functions[i], 1, 2);
    EXPECT_EQ(one.after[0], image_->base() + start_ + sites[i] + 2) << i;
    EXPECT_EQ(one.after[1], 0U) << i;
  }
}

TEST_P(LiteboxCall, StepsOverTheRedZoneWhereAskedTo) {
  run(*image_, start_, 1, 2);
  const uint64_t first = litebox_seen[4];
  run(*image_, start_ + 32, 1, 2);
  EXPECT_EQ(litebox_seen[4], first);
  // In a redzone stub r11 names the core, 25 bytes before resume; a plain one leaves r11 alone.
  EXPECT_EQ(litebox_seen[3] == litebox_seen[2] - 25, redzone_);
}

INSTANTIATE_TEST_SUITE_P(Kinds, LiteboxCall,
                         testing::Combine(testing::Values(StubKind::kRedzone, StubKind::kPlain),
                                          testing::Values(elf::kTypeDyn, elf::kTypeExec)));

// --- Not one system call
// ---------------------------------------------------------------------------

class LiteboxSample : public testing::TestWithParam<SampleFile> {};

TEST_P(LiteboxSample, IsAcceptedAndHoldsNoSystemCall) {
  const Whole whole = rewrite_whole(read_sample(GetParam()), litebox());
  EXPECT_EQ(LiteboxImage::check(whole.output), LiteboxVerdict::kPatched);
  EXPECT_FALSE(whole.report.incomplete());
  EXPECT_GT(whole.report.sites.size(), 10U);
  // Code, read by objdump section by section from symbol to symbol.
  const ScratchDirectory scratch;
  write_file(scratch / "out", whole.output);
  const std::string calls =
      output_of("/usr/bin/objdump -d --no-show-raw-insn " + (scratch / "out") +
                " | grep -P '\\t(syscall|sysenter) *$' | wc -l");
  EXPECT_EQ(calls, "0\n");
  // Stubs, read by objdump as one piece of code, and by the project's own decoder each for itself.
  write_file(scratch / "stubs", whole.file.trampoline().subspan(8));
  const std::string stubs =
      output_of("/usr/bin/objdump -D -b binary -m i386:x86-64 --no-show-raw-insn " +
                (scratch / "stubs") + R"( | grep -P '\t(syscall|sysenter|\(bad\))' | wc -l)");
  EXPECT_EQ(stubs, "0\n");
  const Decoder decoder;
  for (uint32_t i = 0; i < whole.file.site_count(); ++i) {
    const ByteView stub = stub_of(whole, i);
    uint64_t decoded = 0;
    for (const Instruction& in : decoder.decode_all(stub, {0})) {
      EXPECT_NE(in.special, Special::kSyscall);
      decoded += in.length;
    }
    EXPECT_EQ(decoded, stub.size());
  }
}

INSTANTIATE_TEST_SUITE_P(Samples, LiteboxSample,
                         testing::Values(kBusybox, kBash, kMusl, kGlibc, kStaticPie),
                         [](const auto& param) { return std::string(param.param.name); });

// The grep above must find what it looks for.
TEST(LiteboxSamples, HaveSystemCallsBefore) {
  const std::string calls =
      output_of(std::string("/usr/bin/objdump -d --no-show-raw-insn ") + kBusybox.path +
                " | grep -P '\\t(syscall|sysenter) *$' | wc -l");
  EXPECT_GT(std::stoi(calls), 200);
}

// The metadata keeps the windows' original bytes; nothing that is ever executed holds the pair.
TEST(LiteboxFormat, OfAnAssembledProgramHoldsNotEvenThePairOfBytes) {
  const Whole whole = rewrite_whole(four_functions(elf::kTypeExec).build(), litebox());
  const auto image = ElfImage::parse(whole.output);
  ASSERT_TRUE(image.ok());
  EXPECT_TRUE(find_candidates(*image).empty());
  EXPECT_EQ(to_hex(whole.file.trampoline()).find("0f 05"), std::string::npos);
}

}  // namespace

}  // namespace sysrewrite
