// Objects that real compilers make, accepted, and laid out as they would lie in memory.
#include "loader/engine/hook_image.h"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/hooks/compiled_hook.h"

namespace sysrewrite::test {

namespace {

// Exported whatever the flags say.
constexpr char kInit[] =
    "__attribute__((visibility(\"default\")))\n"
    "int sysload_hook_init(void* hook) { (void)hook; return 0; }\n";

// Default visibility, so that everything goes through the symbol table; tables of pointers; bss.
constexpr char kEverything[] = R"(
#include "sysload/hook.h"
__attribute__((visibility("default"))) int sysload_hook_init(struct sysload_hook* hook);
int counter = 3;
int* where = &counter;
const char* words[] = {"first", "second"};
static char large[20000];
char* inside = large + 16384;
extern int absent(void) __attribute__((weak));
int (*maybe)(void) = absent;
enum sysload_verdict entry(struct sysload_hook* hook, struct sysload_thread* thread,
                           struct sysload_call* call) {
  (void)hook, (void)thread;
  large[call->number % sizeof(large)]++;
  ++counter;
  return SYSLOAD_PASS;
}
int sysload_hook_init(struct sysload_hook* hook) {
  hook->entry = entry;
  hook->data = where;
  hook->api->print(hook, "%s", words[1]);
  return 0;
}
)";

struct Maker {
  const char* name;
  const char* compiler;
  const char* more;
};

class RealHooks : public testing::TestWithParam<Maker> {
 protected:
  static Bytes make(const std::string& source, const std::string& more = "") {
    return compiled(GetParam().compiler, source,
                    std::string(kDocumented) + " " + GetParam().more + " " + more);
  }
};

INSTANTIATE_TEST_SUITE_P(
    Compilers, RealHooks,
    testing::Values(Maker{"gcc", "gcc", ""}, Maker{"clang", "clang", ""},
                    Maker{"gcc_hidden", "gcc", "-fvisibility=hidden"},
                    Maker{"gcc_sysv_hash", "gcc", "-Wl,--hash-style=sysv"},
                    Maker{"gcc_gnu_hash", "gcc", "-Wl,--hash-style=gnu"},
                    Maker{"gcc_noseparate_code", "gcc", "-Wl,-z,noseparate-code"},
                    Maker{"gcc_large_pages", "gcc", "-Wl,-z,max-page-size=0x200000"},
                    Maker{"gcc_relr", "gcc", "-Wl,-z,pack-relative-relocs"},
                    Maker{"gcc_norelro", "gcc", "-Wl,-z,norelro -O0"},
                    Maker{"gcc_stripped", "gcc", "-s -Wl,-z,now"},
                    Maker{"clang_lld", "clang", "-fuse-ld=lld"},
                    Maker{"clang_lld_relr", "clang", "-fuse-ld=lld -Wl,--pack-dyn-relocs=relr -O0"},
                    Maker{"gcc_cf_protection", "gcc", "-fcf-protection=full -g"}),
    [](const auto& maker) { return maker.param.name; });

TEST_P(RealHooks, AreAccepted) {
  EXPECT_EQ(verdict(make(kInit)), "accepted");
  EXPECT_EQ(verdict(make(kEverything)), "accepted");
}

// "  <number>: <value> <size> FUNC ... <name>", in hexadecimal.
uint64_t symbol_value(const Bytes& object, const std::string& name) {
  std::istringstream lines(readelf(object, "-sW"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string number, value, word, last;
    words >> number >> value;
    while (words >> word) last = word;
    if (last == name) return std::stoull(value, nullptr, 16);
  }
  ADD_FAILURE() << "readelf does not know " << name;
  return 0;
}

TEST_P(RealHooks, ExportTheirInitWhereReadelfSeesIt) {
  const Bytes object = make(kEverything);
  HookImage image;
  Refusal why;
  ASSERT_TRUE(image.read(object, why)) << why.text();
  EXPECT_EQ(image.init().value, symbol_value(object, "sysload_hook_init"));
}

uint64_t word_at(const Bytes& memory, const HookImage& image, uint64_t address) {
  return load<uint64_t>(memory, address - image.low().value).value_or(~uint64_t{0});
}

TEST_P(RealHooks, PointAtTheirOwnData) {
  constexpr uint64_t kBias = 0x7f1234560000;
  const Bytes object = make(kEverything);
  HookImage image;
  Refusal why;
  ASSERT_TRUE(image.read(object, why)) << why.text();
  const Bytes memory = loaded(object, kBias);
  const auto at = [&](const char* name) { return symbol_value(object, name); };
  EXPECT_EQ(word_at(memory, image, at("where")), at("counter") + kBias);
  EXPECT_EQ(word_at(memory, image, at("maybe")), 0U);
  const uint64_t inside = word_at(memory, image, at("inside")) - kBias;
  EXPECT_GE(inside, image.low().value + 16384);
  EXPECT_LT(inside, image.high().value);
  const uint64_t second = word_at(memory, image, at("words") + 8) - kBias - image.low().value;
  ASSERT_LT(second + 7, memory.size());
  EXPECT_EQ(Bytes(memory.begin() + static_cast<int64_t>(second),
                  memory.begin() + static_cast<int64_t>(second) + 7),
            text(std::string_view("second\0", 7)));
}

TEST_P(RealHooks, HaveAsManyRelocationsAsReadelfLists) {
  const Bytes object = make(kEverything);
  HookImage image;
  Refusal why;
  ASSERT_TRUE(image.read(object, why)) << why.text();
  HookRelocations relocations(image);
  HookRelocation relocation{};
  size_t count = 0;
  while (relocations.next(relocation, why) == HookRelocations::Step::kRelocation) ++count;
  const std::string listed = readelf(object, "-rW");
  size_t expected = 0;
  for (size_t at = 0; (at = listed.find("R_X86_64_", at)) != std::string::npos; ++at) ++expected;
  // "  3 offsets" behind the heading of .relr.dyn, with an address to a line.
  const size_t relr = listed.find(" offsets");
  if (relr != std::string::npos)
    expected += std::stoul(listed.substr(listed.rfind('\n', relr) + 1));
  EXPECT_EQ(count, expected) << listed;
  EXPECT_GE(count, 4U);
}

// Compilers call these on their own, whatever they were told about libraries.
TEST_P(RealHooks, AreLentTheMemoryFunctions) {
  const Bytes object = make(std::string("void* memset(void*, int, unsigned long);\n"
                                        "void* clear(void* x) { return memset(x, 0, 999); }\n") +
                            kInit);
  ASSERT_EQ(verdict(object), "accepted");
  HookImage image;
  Refusal why;
  ASSERT_TRUE(image.read(object, why));
  HookRelocations relocations(image);
  HookRelocation relocation{};
  int lent = 0;
  while (relocations.next(relocation, why) == HookRelocations::Step::kRelocation) {
    if (relocation.lent == LentFunction::kNone) continue;
    ++lent;
    EXPECT_EQ(relocation.lent, LentFunction::kMemset);
    EXPECT_FALSE(relocation.biased);
    EXPECT_EQ(relocation.value, 0U);
  }
  EXPECT_EQ(lent, 1);
}

TEST_P(RealHooks, HaveRelroInsideAWritableSegment) {
  const Bytes object = make(kEverything);
  HookImage image;
  Refusal why;
  ASSERT_TRUE(image.read(object, why)) << why.text();
  EXPECT_LE(image.relro_start(), image.relro_end());
  for (uint32_t i = 0; i < image.segment_count(); ++i) {
    const elf::Phdr& segment = image.segment(i);
    if ((segment.flags & elf::kFlagWrite) != 0) continue;
    EXPECT_TRUE(image.relro_end().value <= segment.vaddr ||
                image.relro_start().value >= segment.vaddr + segment.memsz);
  }
  const bool wants_none = std::string(GetParam().more).find("norelro") != std::string::npos;
  EXPECT_TRUE(!wants_none || image.relro_start() == image.relro_end());
}

}  // namespace

}  // namespace sysrewrite::test
