// The library keeps no state between calls, and none is shared: four rewrites at once give what one
// gives.
#include <gtest/gtest.h>

#include <thread>

#include "rewriter/pipeline.h"
#include "tests/sample_files.h"

namespace sysrewrite {

namespace {

using namespace test;

TEST(Rewrite, GivesTheSameBytesFromFourThreadsAtOnce) {
  for (const SampleFile& sample : {kBusybox, kMusl}) {
    const Bytes input = read_sample(sample);
    const auto whole = [&input](const Options& options) {
      const auto rewritten = rewrite(input, options);
      return rewritten ? materialize(input, rewritten->output) : Bytes{};
    };
    Options other;  // so that a value shared by mistake would show
    other.stub = StubKind::kPlain;
    other.tiers.a = false;
    const Bytes expected = whole({}), expected_other = whole(other);
    ASSERT_FALSE(expected.empty() || expected_other.empty() || expected == expected_other);
    for (int round = 0; round < 3; ++round) {
      std::vector<Bytes> got(4);
      std::vector<std::thread> threads;
      for (size_t i = 0; i < got.size(); ++i)
        threads.emplace_back([&, i] { got[i] = whole(i % 2 == 0 ? Options{} : other); });
      for (std::thread& thread : threads) thread.join();
      for (size_t i = 0; i < got.size(); ++i)
        EXPECT_TRUE(got[i] == (i % 2 == 0 ? expected : expected_other)) << sample.name << i;
    }
  }
}

}  // namespace

}  // namespace sysrewrite
