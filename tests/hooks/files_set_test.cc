#include "loader/hooks/files_set.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace sysrewrite {
namespace {

class SharedWords {
 public:
  SharedWords()
      : words_(static_cast<uint64_t*>(mmap(nullptr, FingerprintSet::kBytes, PROT_READ | PROT_WRITE,
                                           MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
  SharedWords(const SharedWords&) = delete;
  SharedWords& operator=(const SharedWords&) = delete;
  ~SharedWords() { munmap(words_, FingerprintSet::kBytes); }
  uint64_t* get() { return words_; }

 private:
  uint64_t* words_;
};

TEST(FingerprintSet, KnowsWhatWasInserted) {
  SharedWords words;
  FingerprintSet set(words.get());
  std::mt19937_64 random(1);
  std::set<uint64_t> inserted;
  while (inserted.size() < 200000) {
    const uint64_t fingerprint = random() | 1;
    EXPECT_EQ(set.contains(fingerprint), inserted.contains(fingerprint));
    EXPECT_EQ(set.insert(fingerprint), inserted.insert(fingerprint).second);
  }
  for (const uint64_t fingerprint : inserted) {
    EXPECT_TRUE(set.contains(fingerprint));
    EXPECT_FALSE(set.insert(fingerprint));
  }
}

TEST(FingerprintSet, SaysNewWhereThereIsNoRoom) {
  SharedWords words;
  FingerprintSet set(words.get());
  // All of one bucket in every level: 4 buckets of 8.
  for (uint64_t i = 1; i <= 32; ++i) EXPECT_TRUE(set.insert(i << 40 | 5));
  for (uint64_t i = 1; i <= 32; ++i) EXPECT_FALSE(set.insert(i << 40 | 5));
  EXPECT_TRUE(set.insert(uint64_t{33} << 40 | 5));
  EXPECT_TRUE(set.insert(uint64_t{33} << 40 | 5));
  EXPECT_FALSE(set.contains(uint64_t{33} << 40 | 5));
}

TEST(FingerprintSet, IsNewForOneOfManyThreads) {
  SharedWords words;
  constexpr uint64_t kCount = 50000;
  std::atomic<uint64_t> news{0};
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      FingerprintSet set(words.get());
      uint64_t mine = 0;
      for (uint64_t i = 0; i < kCount; ++i) mine += set.insert(fingerprint_with(i, 1)) ? 1 : 0;
      news += mine;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(news, kCount);
}

TEST(FingerprintSet, IsSharedByProcesses) {
  SharedWords words;
  const pid_t child = fork();
  if (child == 0) _exit(FingerprintSet(words.get()).insert(77) ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(FingerprintSet(words.get()).insert(77));
}

TEST(Fingerprint, DiffersForPathsThatDifferALittle) {
  std::set<uint64_t> seen;
  uint64_t count = 0;
  for (int i = 0; i < 100000; ++i) {
    const std::string path = "/usr/include/a/file" + std::to_string(i);
    for (uint64_t kind = 0; kind < 3; ++kind, ++count)
      seen.insert(
          fingerprint_with(fingerprint_of(path.data(), static_cast<uint32_t>(path.size())), kind));
  }
  for (uint32_t size = 0; size < 64; ++size, ++count)
    seen.insert(fingerprint_with(fingerprint_of(std::string(64, 0).data(), size), 0));
  EXPECT_EQ(seen.size(), count);
  EXPECT_EQ(seen.count(0), 0U);
}

}  // namespace
}  // namespace sysrewrite
