#include "trampoline/output_ring.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

// The ring by which hooks' output comes to the process behind run: nothing is lost, torn or mixed.

namespace sysrewrite {
namespace {

// What a reader does, without its waiting: the next record, or nothing.
bool read_next(OutputRing& ring, std::string* text, uint32_t* index) {
  const uint64_t at = ring.consumed;
  if (at == __atomic_load_n(&ring.reserved, __ATOMIC_ACQUIRE)) return false;
  const uint32_t word = __atomic_load_n(ring.word(at), __ATOMIC_ACQUIRE);
  if ((word & OutputRing::kCommitted) == 0) return false;
  const uint64_t length = word & ~OutputRing::kCommitted;
  std::memcpy(index, ring.place(at + 4), sizeof(*index));
  text->clear();
  for (uint64_t i = 0; i < length; ++i) text->push_back(static_cast<char>(*ring.place(at + 8 + i)));
  for (uint64_t i = 0; i < OutputRing::record_size(length); ++i) *ring.place(at + i) = std::byte{0};
  __atomic_store_n(&ring.consumed, at + OutputRing::record_size(length), __ATOMIC_RELEASE);
  return true;
}

TEST(OutputRing, GivesBackWhatWasWritten) {
  const auto ring = std::make_unique<OutputRing>();
  uint64_t at = 0;
  ASSERT_TRUE(ring->reserve(5, &at));
  EXPECT_FALSE(ring->commit(at, 3, "hello", 5));
  std::string text;
  uint32_t index = 0;
  ASSERT_TRUE(read_next(*ring, &text, &index));
  EXPECT_EQ(text, "hello");
  EXPECT_EQ(index, 3U);
  EXPECT_FALSE(read_next(*ring, &text, &index));
}

TEST(OutputRing, HasNoRoomForMoreThanItsSize) {
  const auto ring = std::make_unique<OutputRing>();
  uint64_t at = 0;
  for (uint64_t taken = 0; taken < kRingData; taken += kMostRecord)
    ASSERT_TRUE(ring->reserve(kMostRecord - 8, &at));
  EXPECT_FALSE(ring->reserve(1, &at));
}

TEST(OutputRing, PromisesNothingWhereItIsClosed) {
  const auto ring = std::make_unique<OutputRing>();
  uint64_t at = 0;
  ASSERT_TRUE(ring->reserve(5, &at));
  EXPECT_TRUE(ring->has_reader());
  EXPECT_EQ(ring->close(), OutputRing::record_size(5));
  EXPECT_FALSE(ring->reserve(5, &at));
  EXPECT_FALSE(ring->has_reader());
  EXPECT_EQ(ring->close(), OutputRing::record_size(5));
}

TEST(OutputRing, HasNoReaderWhereHeHasDied) {
  const auto ring = std::make_unique<OutputRing>();
  ring->reader = 1234;
  EXPECT_TRUE(ring->has_reader());
  ring->reader |= OutputRing::kDied;
  EXPECT_FALSE(ring->has_reader());
  EXPECT_FALSE(ring->is_closed());
}

TEST(OutputRing, ReadsInTheOrderOfThePromises) {
  const auto ring = std::make_unique<OutputRing>();
  uint64_t first = 0, second = 0;
  ASSERT_TRUE(ring->reserve(1, &first));
  ASSERT_TRUE(ring->reserve(1, &second));
  ring->commit(second, 0, "b", 1);
  std::string text;
  uint32_t index = 0;
  EXPECT_FALSE(read_next(*ring, &text, &index)) << "the first is not committed";
  ring->commit(first, 0, "a", 1);
  ASSERT_TRUE(read_next(*ring, &text, &index));
  EXPECT_EQ(text, "a");
  ASSERT_TRUE(read_next(*ring, &text, &index));
  EXPECT_EQ(text, "b");
}

TEST(OutputRing, SaysWhenTheReaderSleeps) {
  const auto ring = std::make_unique<OutputRing>();
  ring->is_asleep = 1;
  uint64_t at = 0;
  ASSERT_TRUE(ring->reserve(1, &at));
  const uint32_t bell = ring->bell;
  EXPECT_TRUE(ring->commit(at, 0, "a", 1));
  EXPECT_NE(ring->bell, bell);
}

// Many times around, with writers side by side.
TEST(OutputRing, KeepsRecordsOfManyWritersWhole) {
  constexpr uint32_t kWriters = 4, kRecords = 40000;
  const auto ring = std::make_unique<OutputRing>();
  std::vector<std::thread> writers;
  for (uint32_t writer = 0; writer < kWriters; ++writer)
    writers.emplace_back([&ring, writer] {
      for (uint32_t i = 0; i < kRecords; ++i) {
        const std::string text =
            std::to_string(i) + std::string(i % 397, static_cast<char>('a' + writer));
        uint64_t at = 0;
        while (!ring->reserve(text.size(), &at)) std::this_thread::yield();
        ring->commit(at, writer, text.data(), text.size());
      }
    });
  uint32_t next[kWriters] = {};
  std::string text;
  uint32_t index = 0;
  for (uint32_t seen = 0; seen < kWriters * kRecords;) {
    if (!read_next(*ring, &text, &index)) {
      std::this_thread::yield();
      continue;
    }
    ++seen;
    ASSERT_LT(index, kWriters);
    const uint32_t i = next[index]++;
    ASSERT_EQ(text, std::to_string(i) + std::string(i % 397, static_cast<char>('a' + index)));
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_FALSE(read_next(*ring, &text, &index));
}

}  // namespace
}  // namespace sysrewrite
