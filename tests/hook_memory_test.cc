#include "cli/hook_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "trampoline/counts.h"
#include "trampoline/output_ring.h"

// What programs under hooks may do to the process behind run: die in the middle, or write nonsense.

namespace sysrewrite {
namespace {

using namespace std::chrono_literals;

// Long enough for the patience that the reader has with those who promised.
constexpr auto kLong = 20s;

class HookOutput : public testing::Test {
 protected:
  HookOutput() : path_(testing::TempDir() + "hook_memory." + std::to_string(getpid())) {
    auto started = HookMemory::start({"trace:output=" + path_, "count:output=" + path_ + ".count"});
    EXPECT_TRUE(started);
    memory_ = std::move(*started);
    void* at =
        mmap(nullptr, sizeof(OutputRing), PROT_READ | PROT_WRITE, MAP_SHARED, memory_->ring(), 0);
    EXPECT_NE(at, MAP_FAILED);
    ring_ = static_cast<OutputRing*>(at);
  }
  ~HookOutput() override {
    memory_->stop({});
    munmap(ring_, sizeof(OutputRing));
    unlink(path_.c_str());
    unlink((path_ + ".count").c_str());
  }

  void write(const std::string& text) {
    uint64_t at = 0;
    ASSERT_TRUE(ring_->reserve(text.size(), &at));
    ring_->commit(at, 0, text.data(), text.size());
  }
  std::string written() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  bool comes_to(const std::string& text) const {
    const auto end = std::chrono::steady_clock::now() + kLong;
    while (written() != text && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(10ms);
    return written() == text;
  }
  uint64_t waiting() const {
    return __atomic_load_n(&ring_->reserved, __ATOMIC_ACQUIRE) -
           __atomic_load_n(&ring_->consumed, __ATOMIC_ACQUIRE);
  }

  std::string path_;
  std::unique_ptr<HookMemory> memory_;
  OutputRing* ring_ = nullptr;
};

// His text looks like the heads of records, which it must not be taken for.
TEST_F(HookOutput, OfOneWhoWasKilledIsSteppedOver) {
  uint64_t at = 0;
  ASSERT_TRUE(ring_->reserve(16, &at));
  std::memset(ring_->place(at + 8), 0xff, 16);
  write("behind\n");
  EXPECT_TRUE(comes_to("behind\n"));
  EXPECT_EQ(waiting(), 0U);
  write("and on\n");
  EXPECT_TRUE(comes_to("behind\nand on\n"));
}

// The reader's patience begins anew for each: the second here lives.
TEST_F(HookOutput, OfOneWhoTakesHisTimeBehindAnotherWhoWasKilledIsRead) {
  uint64_t killed = 0, slow = 0;
  ASSERT_TRUE(ring_->reserve(100, &killed));
  ASSERT_TRUE(ring_->reserve(5, &slow));
  const auto end = std::chrono::steady_clock::now() + kLong;
  while (__atomic_load_n(&ring_->consumed, __ATOMIC_ACQUIRE) == killed &&
         std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(1ms);
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(ring_->consumed, slow);
  ring_->commit(slow, 0, "slow\n", 5);
  EXPECT_TRUE(comes_to("slow\n"));
}

TEST_F(HookOutput, ThatIsNonsenseEndsNothing) {
  ring_->reserved = UINT64_MAX;
  std::this_thread::sleep_for(100ms);
  ring_->reserved = 64;
  *ring_->word(0) = 0xffffffff;
  const auto end = std::chrono::steady_clock::now() + kLong;
  while (waiting() != 0 && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(10ms);
  EXPECT_EQ(waiting(), 0U);
  write("sense\n");
  EXPECT_TRUE(comes_to(written().substr(0, written().size() - 6) + "sense\n"));
}

std::string written_of_unseen(const std::string& options) {
  const std::string path = testing::TempDir() + "hook_memory_unseen." + std::to_string(getpid());
  auto started = HookMemory::start({"files:output=" + path + options});
  EXPECT_TRUE(started);
  (*started)->stop({"/a\"\n\xc3\xa9\xff\xed\xa0\x80/\xf0\x9f\x98\x80\xc3: native"});
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  unlink(path.c_str());
  return text;
}

// As the hook writes its own records.
TEST(HookUnseen, IsWrittenInTheFormatOfFiles) {
  const std::string json =
      "{\"kind\":\"incomplete\",\"path\":\"/a\\\"\\n\xc3\xa9\\udcff\\udced\\udca0\\udc80/"
      "\xf0\x9f\x98\x80\\udcc3: native\"}\n";
  EXPECT_EQ(written_of_unseen(":format=json"), json);
  const std::string text =
      "incomplete /a\"\\n\xc3\xa9\xff\xed\xa0\x80/\xf0\x9f\x98\x80\xc3: native\n";
  EXPECT_EQ(written_of_unseen(""), text);
}

TEST_F(HookOutput, LiesInMemoryThatNobodyMakesShorter) {
  EXPECT_NE(ftruncate(memory_->ring(), 0), 0);
  const int shared = memory_->share(1, 1 << 20);
  ASSERT_GE(shared, 0);
  EXPECT_NE(ftruncate(shared, 0), 0);
}

TEST_F(HookOutput, OfCountsThatHaveNoRoomForTheirHeadIsNone) {
  const int shared = memory_->share(1, 1);
  ASSERT_GE(shared, 0);
  void* at = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
  ASSERT_NE(at, MAP_FAILED);
  static_cast<CountHeader*>(at)->used = 1000;
  memory_->stop({});
  munmap(at, 4096);
}

}  // namespace
}  // namespace sysrewrite
