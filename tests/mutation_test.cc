// verify, told the truth about a damaged output: no byte that a rewrite writes can change unseen.
//
// Each mutation gets its checksum mended, since that alone would catch them all. A few bytes are
// nobody's to judge: which reason of its tier a site names, what path and options the user chose,
// and, where the original is not at hand, those originals on which no other byte depends.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <random>

#include "rewriter/verify.h"
#include "tests/rewritten_samples.h"
#include "tests/sample_files.h"
#include "tests/sanitized.h"

namespace sysrewrite {

namespace {

using namespace test;

// What each byte of an output is to a mutation.
enum class Byte : uint8_t {
  kInput,     // taken over from the input, bound by nothing but the original
  kRecorded,  // written by the rewrite
  kOriginal,  // recorded, and known from the original alone
  kChosen,    // by the user, or by the rewriter among equals
};

class ByteMap {
 public:
  explicit ByteMap(const Whole& whole) : whole_(whole), file_(whole.file) {
    map_.assign(whole.output.size(), Byte::kRecorded);
    std::fill_n(map_.begin(), file_.meta().input_size, Byte::kInput);
    mark(offsetof(MetaHeader, input_size), 8, Byte::kOriginal);
    for (uint32_t i = 0; i < file_.site_count(); ++i) mark_site(i);
    for (uint32_t i = 0; i < file_.edit_count(); ++i) mark_edit(file_.edit(i));
    const MetaHeader& meta = file_.meta();
    if ((meta.flags & kMetaInterpInPlace) == 0)
      mark(meta.interp.offset, meta.interp.count, Byte::kChosen);
    mark(meta.options.offset, meta.options.count, Byte::kChosen);
    if (!file_.has_sites()) mark(offsetof(MetaHeader, flags), 1, Byte::kChosen);
    if (file_.is_segment()) mark_undoing();
  }

  Byte operator[](size_t at) const { return map_[at]; }
  size_t size() const { return map_.size(); }

  // True where somebody has to notice that these bytes are not the output's.
  bool must_be_seen(const Bytes& mutated, bool with_original) const {
    if (mutated.size() != map_.size()) return true;
    const uint64_t checksum = file_.meta_offset().value + offsetof(MetaHeader, checksum);
    for (size_t i = 0; i < map_.size(); ++i) {
      if (mutated[i] == whole_.output[i] || (i >= checksum && i < checksum + 8)) continue;
      if (map_[i] == Byte::kRecorded) return true;
      if (map_[i] != Byte::kChosen && with_original) return true;
    }
    return false;
  }

 private:
  void set(uint64_t at, uint64_t size, Byte what) {
    std::fill_n(map_.begin() + static_cast<std::ptrdiff_t>(at), size, what);
  }
  void mark(uint64_t in_metadata, uint64_t size, Byte what) {
    set(file_.meta_offset().value + in_metadata, size, what);
  }

  void mark_site(uint32_t index) {
    const MetaHeader& meta = file_.meta();
    const SiteRecord site = file_.site(index);
    if (site.tier != Tier::kWindow)
      mark(meta.sites.offset + index * sizeof(SiteRecord) + offsetof(SiteRecord, reason), 1,
           Byte::kChosen);
    if (site.window == 0) return;
    set(file_.offset_of(file_.window_vaddr(site), 1)->value, site.window, Byte::kRecorded);
    if (site.springboard == kNoSpringboard) return;
    const Vaddr board{meta.base_vaddr + site.springboard};
    set(file_.offset_of(board, 1)->value, kSpringboardSize, Byte::kRecorded);
    mark(meta.blob.offset + site.blob + site.window, kSpringboardSize, Byte::kOriginal);
  }

  // Where these do not lead back to the input, another tool has been here: patches hold without.
  void mark_undoing() {
    const MetaHeader& meta = file_.meta();
    mark(meta.edits.offset, meta.edits.count * sizeof(EditRecord), Byte::kOriginal);
    for (uint32_t i = 0; i < file_.edit_count(); ++i) {
      const EditRecord edit = file_.edit(i);
      mark(meta.blob.offset + edit.blob, edit.size, Byte::kOriginal);
    }
    const uint64_t slot_end = file_.own_segment().offset + file_.own_segment().filesz;
    set(slot_end - sizeof(Trailer) - sizeof(uint64_t), sizeof(uint64_t), Byte::kOriginal);
  }

  void mark_edit(const EditRecord& edit) {
    set(edit.offset, edit.size, Byte::kRecorded);
    // Of an input without section headers only the original says what e_shoff and its like were.
    const bool of_sections =
        edit.offset == offsetof(elf::Ehdr, shoff) || edit.offset == offsetof(elf::Ehdr, shentsize);
    const auto input = *load<elf::Ehdr>(whole_.input, 0);
    if (edit.kind != EditKind::kElfHeader || (of_sections && input.shoff == 0))
      mark(file_.meta().blob.offset + edit.blob, edit.size, Byte::kOriginal);
  }

  const Whole& whole_;
  const RewrittenFile& file_;
  std::vector<Byte> map_;
};

// Both readings, with and without the original; false where one of them missed what it must see.
testing::AssertionResult seen(const Whole& whole, const ByteMap& map, const Bytes& mutated) {
  const Bytes output = sealed(mutated);
  if (map.must_be_seen(output, false) && verify(output).proven())
    return testing::AssertionFailure() << "proven without the original";
  if (map.must_be_seen(output, true) && verify(output, whole.input).proven())
    return testing::AssertionFailure() << "proven against the original";
  return testing::AssertionSuccess();
}

bool is_padding(const Whole& whole, size_t at) {
  const ByteView bytes = ByteView(whole.output).subspan(at, 1);
  const uint64_t from = whole.file.trailer().offset;
  return whole.file.has_sites() && at >= from && at < from + whole.file.trailer().size &&
         (bytes[0] == std::byte{0} || bytes[0] == std::byte{0xcc});
}

// Of the bytes, another one in each sample, and of the random mutations.
const size_t kEach = one_in(59), kRandom = 100 / one_in(7);

TEST(Mutation, EveryFlippedBitIsSeen) {
  size_t index = 0, tried = 0;
  for (const RewrittenSample& sample : rewritten_samples()) {
    ++index;
    const ByteMap map(sample.whole);
    ASSERT_TRUE(verify(sample.whole.output, sample.whole.input).proven()) << sample.name;
    for (size_t at = 0; at < map.size(); ++at) {
      // Of the pages of zeros and int3 a part in each sample, another part in the next.
      if ((at + index) % kEach != 0) continue;
      if (map[at] == Byte::kInput || (is_padding(sample.whole, at) && (at + index) % 31 != 0))
        continue;
      // All bits in each form of one program, of the others one bit of each byte.
      const bool all = index <= every_form().size();
      for (unsigned bit = all ? 0 : (at + index) % 8; bit < 8; bit += all ? 1 : 8) {
        Bytes mutated = sample.whole.output;
        mutated[at] ^= static_cast<std::byte>(1U << bit);
        ++tried;
        ASSERT_TRUE(seen(sample.whole, map, mutated))
            << sample.name << ": file offset " << at << " of " << map.size() << ", bit " << bit;
      }
    }
  }
  EXPECT_GT(tried, 50000U / kEach);
}

// With the original at hand not even the bytes that no checksum covers can change.
TEST(Mutation, EveryFlippedByteOfTheInputIsSeenAgainstTheOriginal) {
  const Whole whole = rewrite_whole(every_tier().build());
  for (size_t at = 0; at < whole.input.size(); at += 7) {
    Bytes mutated = whole.output;
    mutated[at] ^= std::byte{0x40};
    ASSERT_FALSE(verify(sealed(mutated), whole.input).proven()) << at;
  }
}

class Mutator {
 public:
  Mutator(const Whole& whole, uint32_t seed) : whole_(whole), random_(seed) {}

  Bytes next() {
    Bytes bytes = whole_.output;
    switch (below(8)) {
      case 0:
        put<uint8_t>(bytes, written(), static_cast<uint8_t>(below(256)));
        break;
      case 1:  // a displacement, an offset, an address shifted a little
        add<uint32_t>(bytes, written(), static_cast<uint32_t>(below(65) - 32));
        break;
      case 2:
        put<uint32_t>(bytes, written(), static_cast<uint32_t>(random_()));
        break;
      case 3:
        copy_block(bytes, written(), written(), 1 + below(64));
        break;
      case 4:
        swap_stubs(bytes);
        break;
      case 5:
        swap_records(bytes);
        break;
      case 6:
        shift_field(bytes);
        break;
      default:
        for (size_t i = 0, count = 2 + below(6); i < count; ++i)
          put<uint8_t>(bytes, written(), static_cast<uint8_t>(below(256)));
    }
    return bytes;
  }

 private:
  size_t below(size_t limit) { return static_cast<size_t>(random_() % limit); }

  SiteRecord any_site(uint32_t& index) {
    index = static_cast<uint32_t>(below(whole_.file.site_count()));
    return whole_.file.site(index);
  }
  uint64_t record_at(uint32_t index) const {
    return whole_.file.meta_offset().value + whole_.file.meta().sites.offset +
           index * sizeof(SiteRecord);
  }

  // A place that the rewrite wrote: a stub, a window, the tables, or anything else appended.
  size_t written() {
    uint32_t index = 0;
    const bool sites = whole_.file.has_sites();
    switch (sites ? below(4) : 3) {
      case 0: {
        const SiteRecord site = any_site(index);
        return whole_.file.trailer().offset + site.stub + below(site.stub_size + size_t{1});
      }
      case 1: {
        const SiteRecord site = any_site(index);
        const auto at = whole_.file.offset_of(whole_.file.window_vaddr(site), 1);
        return at->value + below(site.window + size_t{1});
      }
      case 2:
        return whole_.file.meta_offset().value + below(whole_.file.meta().meta_size);
      default: {
        const uint64_t from = whole_.file.meta().input_size;
        return from + below(whole_.output.size() - from);
      }
    }
  }

  template <typename T>
  static void put(Bytes& bytes, size_t at, T value) {
    store(MutableByteView(bytes), at, value);
  }
  template <typename T>
  static void add(Bytes& bytes, size_t at, T value) {
    if (const auto old = load<T>(bytes, at)) put(bytes, at, static_cast<T>(*old + value));
  }

  static void copy_block(Bytes& bytes, size_t from, size_t to, size_t size) {
    if (!range_fits(from, size, bytes.size()) || !range_fits(to, size, bytes.size())) return;
    std::memmove(bytes.data() + to, bytes.data() + from, size);
  }

  void swap_stubs(Bytes& bytes) {
    if (!whole_.file.has_sites()) return;
    uint32_t index = 0;
    const SiteRecord first = any_site(index), second = any_site(index);
    const size_t size = std::min(first.stub_size, second.stub_size);
    const auto start = bytes.begin() + static_cast<std::ptrdiff_t>(whole_.file.trailer().offset);
    if (first.stub + size > second.stub && second.stub + size > first.stub) return;
    std::swap_ranges(start + first.stub, start + first.stub + static_cast<std::ptrdiff_t>(size),
                     start + second.stub);
  }

  void swap_records(Bytes& bytes) {
    if (!whole_.file.has_sites()) return;
    uint32_t first = 0, second = 0;
    any_site(first), any_site(second);
    const auto at = [&](uint32_t i) {
      return bytes.begin() + static_cast<std::ptrdiff_t>(record_at(i));
    };
    if (first != second) std::swap_ranges(at(first), at(first) + sizeof(SiteRecord), at(second));
  }

  // A field of a record, one more or less.
  void shift_field(Bytes& bytes) {
    if (!whole_.file.has_sites()) return;
    uint32_t index = 0;
    any_site(index);
    const size_t field = below(16);
    const uint8_t step = below(2) == 0 ? 1 : 255;
    if (field < 4)
      add<uint32_t>(bytes, record_at(index) + 4 * field, step == 1 ? 1 : ~uint32_t{0});
    else
      add<uint8_t>(bytes, record_at(index) + 16 + field % 8, step);
  }

  const Whole& whole_;
  std::mt19937 random_;
};

void mutate(const Whole& whole, uint32_t seed, size_t count, const std::string& name) {
  const ByteMap map(whole);
  Mutator mutator(whole, seed);
  for (size_t i = 0; i < count; ++i)
    ASSERT_TRUE(seen(whole, map, mutator.next())) << name << ", seed " << seed << ", number " << i;
}

TEST(Mutation, TenThousandRandomOnesOfSmallOutputsAreSeen) {
  const auto samples = rewritten_samples();
  const size_t each = 10000 / samples.size() + 1;
  uint32_t seed = 1;
  for (const RewrittenSample& sample : samples) mutate(sample.whole, seed++, each, sample.name);
}

class MutatedSample : public testing::TestWithParam<SampleFile> {};

TEST_P(MutatedSample, RandomMutationsAreSeen) {
  const Bytes input = read_sample(GetParam());
  mutate(rewrite_whole(input), 1, kRandom, GetParam().name);
  Options litebox;
  litebox.format = Format::kLitebox;
  litebox.native_tail = false;
  mutate(rewrite_whole(input, litebox), 2, kRandom, GetParam().name);
}

// Without interpreters, which --embed=segment refuses (Embedding.WhatItDoesNotFit...).
class MutatedEmbedded : public testing::TestWithParam<SampleFile> {};

TEST_P(MutatedEmbedded, RandomMutationsOfItsSegmentsAreSeen) {
  Options segment;
  segment.embed = true;
  mutate(rewrite_whole(read_sample(GetParam()), segment), 3, kRandom, GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(Files, MutatedSample, testing::ValuesIn(kSampleFiles),
                         [](const auto& it) { return it.param.name; });
INSTANTIATE_TEST_SUITE_P(Files, MutatedEmbedded,
                         testing::Values(kBusybox, kBash, kGlibc, kStaticPie),
                         [](const auto& it) { return it.param.name; });

}  // namespace

}  // namespace sysrewrite
