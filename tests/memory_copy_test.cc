// The copies that programs under `run` map their code from: what is in them, and in which pieces.
#include "cli/memory_copy.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <string>

namespace sysrewrite {
namespace {

constexpr uint64_t kOriginalSize = 100 * kPageSize;

// An ELF header, one program header behind it, and bytes that say where they are.
std::vector<std::byte> original() {
  std::vector<std::byte> bytes(kOriginalSize);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = std::byte(i % 251);
  elf::Ehdr header{};
  std::ranges::copy(elf::kMagic, std::begin(header.ident));
  header.phoff = sizeof(header);
  header.phnum = 1;
  header.phentsize = sizeof(elf::Phdr);
  store(bytes, 0, header);
  return bytes;
}

class Copies : public testing::Test {
 protected:
  void SetUp() override {
    file_.reset(memfd_create("original", MFD_CLOEXEC));
    ASSERT_TRUE(write_at(file_.get(), bytes_, 0));
  }

  void patch(uint64_t offset, size_t size) {
    const auto replaced = ByteView(bytes_).subspan(offset, size);
    view_.patches.push_back({{offset}, replaced, ByteView(new_bytes_).first(size)});
  }

  std::optional<MemoryCopy> make() {
    view_.tail_offset = {kOriginalSize};
    view_.tail = tail_;
    auto copy = make_memory_copy({file_.get(), kOriginalSize}, view_);
    EXPECT_TRUE(copy);
    return std::move(*copy);
  }

  static std::vector<std::byte> read(const MemoryCopy& copy, uint64_t offset, size_t size) {
    std::vector<std::byte> bytes(size);
    EXPECT_EQ(pread(copy.file.get(), bytes.data(), size, static_cast<off_t>(offset)),
              static_cast<ssize_t>(size));
    return bytes;
  }

  std::vector<std::byte> bytes_ = original();
  std::vector<std::byte> new_bytes_ = std::vector<std::byte>(3 * kPageSize, std::byte{0xcc});
  std::vector<std::byte> tail_ = std::vector<std::byte>(5000, std::byte{7});
  Descriptor file_;
  OutputView view_;
};

TEST_F(Copies, HoldPatchedPiecesAndTheTailAndNothingBetween) {
  patch(20 * kPageSize + 5, 7);
  patch(60 * kPageSize - 2, 4);  // across two pages
  const auto copy = make();
  ASSERT_TRUE(copy);
  ASSERT_EQ(copy->pieces.size(), 2U);
  EXPECT_EQ(copy->pieces[0].offset, 20 * kPageSize);
  EXPECT_EQ(copy->pieces[0].size, kPageSize);
  EXPECT_EQ(copy->pieces[1].offset, 59 * kPageSize);
  EXPECT_EQ(copy->pieces[1].size, 2 * kPageSize);
  std::vector<std::byte> expected = bytes_;
  for (const PatchView& patch : view_.patches)
    std::ranges::copy(patch.bytes, expected.begin() + static_cast<ptrdiff_t>(patch.offset.value));
  for (const CodePiece& piece : copy->pieces) {
    const auto part = ByteView(expected).subspan(piece.offset, piece.size);
    EXPECT_TRUE(std::ranges::equal(read(*copy, piece.offset, piece.size), part));
  }
  EXPECT_EQ(read(*copy, kOriginalSize, tail_.size()), tail_);
  EXPECT_TRUE(std::ranges::equal(read(*copy, 0, kPageSize), ByteView(bytes_).first(kPageSize)));
  EXPECT_EQ(read(*copy, 40 * kPageSize, kPageSize), std::vector<std::byte>(kPageSize));
}

TEST_F(Copies, HoldAPieceLongerThanWhatIsReadAtOnce) {
  for (uint64_t at = 20 * kPageSize; at < 60 * kPageSize; at += kPageSize) patch(at - 3, 6);
  const auto copy = make();
  ASSERT_TRUE(copy);
  ASSERT_EQ(copy->pieces.size(), 1U);
  for (uint64_t at = 20 * kPageSize; at < 60 * kPageSize; at += kPageSize)
    EXPECT_EQ(read(*copy, at - 3, 6), std::vector<std::byte>(6, std::byte{0xcc}));
  EXPECT_EQ(read(*copy, 40 * kPageSize + 3, 1)[0], bytes_[40 * kPageSize + 3]);
}

TEST_F(Copies, AreNotMadeOfWhatThePatchesWereNotMadeFor) {
  patch(20 * kPageSize + 5, 7);
  patch(60 * kPageSize - 2, 4);
  for (const uint64_t at : {20 * kPageSize + 11, 60 * kPageSize - 2, 60 * kPageSize + 1}) {
    const std::byte wrong[1] = {bytes_[at] ^ std::byte{1}};
    ASSERT_TRUE(write_at(file_.get(), wrong, at));
    EXPECT_FALSE(make()) << at;
    ASSERT_TRUE(write_at(file_.get(), ByteView(bytes_).subspan(at, 1), at));
  }
  EXPECT_TRUE(make());
}

TEST_F(Copies, AreNotMadeOfAFileWithOtherHeaders) {
  OutputBytes output;
  output.patches.push_back({{20 * kPageSize}, {std::byte{1}, std::byte{2}}});
  output.tail_offset = {kOriginalSize};
  output.tail = tail_;
  const CacheEntry entry = make_entry(Digest{}, bytes_, output);
  const CacheSeal seal{};
  const std::vector<std::byte> encoded = encode_entry(entry, seal);
  const auto read = view_entry(encoded, Digest{}, seal);
  ASSERT_TRUE(read);
  view_ = read->output;
  ASSERT_TRUE(make());
  EXPECT_EQ(make()->pieces.size(), 1U);  // what is only compared is no piece
  for (const uint64_t at : {uint64_t{17}, sizeof(elf::Ehdr) + sizeof(elf::Phdr) - 1}) {
    const std::byte wrong[1] = {bytes_[at] ^ std::byte{1}};
    ASSERT_TRUE(write_at(file_.get(), wrong, at));
    EXPECT_FALSE(make()) << at;
    ASSERT_TRUE(write_at(file_.get(), ByteView(bytes_).subspan(at, 1), at));
  }
}

TEST_F(Copies, AreNotMadeOfAFileThatHasBecomeShorter) {
  patch(60 * kPageSize, 4);
  ASSERT_EQ(ftruncate(file_.get(), 60 * kPageSize + 2), 0);
  EXPECT_FALSE(make());
}

// The same copy as make()'s, but for what it holds between the pieces.
TEST_F(Copies, InOnePieceHoldWhatLiesBetweenAsItStandsInTheOriginal) {
  patch(20 * kPageSize + 5, 7);
  patch(60 * kPageSize - 2, 4);
  const auto copy = make();
  ASSERT_TRUE(copy);
  const auto whole = in_one_piece(*copy, {file_.get(), kOriginalSize});
  ASSERT_TRUE(whole);
  ASSERT_EQ(whole->pieces.size(), 1U);
  const CodePiece piece = whole->pieces[0];
  EXPECT_EQ(piece.offset, 20 * kPageSize);
  EXPECT_EQ(piece.size, 41 * kPageSize);
  std::vector<std::byte> expected = bytes_;
  for (const PatchView& patch : view_.patches)
    std::ranges::copy(patch.bytes, expected.begin() + static_cast<ptrdiff_t>(patch.offset.value));
  EXPECT_TRUE(std::ranges::equal(read(*whole, piece.offset, piece.size),
                                 ByteView(expected).subspan(piece.offset, piece.size)));
  EXPECT_EQ(read(*whole, kOriginalSize, tail_.size()), tail_);
  EXPECT_TRUE(std::ranges::equal(read(*whole, 0, kPageSize), ByteView(bytes_).first(kPageSize)));
  EXPECT_FALSE(write_at(whole->file.get(), tail_, 0));
}

TEST_F(Copies, InOnePieceReachOverTheWholeSegmentOfTheCode) {
  elf::Phdr segment{};
  segment.type = elf::kPtLoad;
  segment.flags = elf::kFlagRead | elf::kFlagExec;
  segment.offset = 10 * kPageSize;
  segment.filesz = segment.memsz = 70 * kPageSize + 5;
  store(bytes_, sizeof(elf::Ehdr), segment);
  ASSERT_TRUE(write_at(file_.get(), bytes_, 0));
  patch(20 * kPageSize, 4);
  const auto copy = make();
  ASSERT_TRUE(copy);
  const auto whole = in_one_piece(*copy, {file_.get(), kOriginalSize});
  ASSERT_TRUE(whole);
  ASSERT_EQ(whole->pieces.size(), 1U);
  EXPECT_EQ(whole->pieces[0].offset, 10 * kPageSize);
  EXPECT_EQ(whole->pieces[0].size, 71 * kPageSize);
}

TEST_F(Copies, AreNotMadeInOnePieceWhereThereIsOneAlready) {
  patch(20 * kPageSize, 4);
  const auto copy = make();
  ASSERT_TRUE(copy);
  EXPECT_FALSE(in_one_piece(*copy, {file_.get(), kOriginalSize}));
}

TEST_F(Copies, AreNotMadeInOnePieceOfAFileThatHasBecomeShorter) {
  patch(20 * kPageSize, 4);
  patch(60 * kPageSize, 4);
  const auto copy = make();
  ASSERT_TRUE(copy);
  ASSERT_EQ(ftruncate(file_.get(), 40 * kPageSize), 0);
  EXPECT_FALSE(in_one_piece(*copy, {file_.get(), kOriginalSize}));
}

TEST_F(Copies, CannotBeChanged) {
  patch(20 * kPageSize, 4);
  const auto copy = make();
  ASSERT_TRUE(copy);
  const int file = copy->file.get();
  EXPECT_FALSE(write_at(file, tail_, 0));
  EXPECT_NE(ftruncate(file, 0), 0);
  EXPECT_NE(fcntl(file, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
  EXPECT_EQ(mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), MAP_FAILED);
  const Descriptor again(open(("/proc/self/fd/" + std::to_string(file)).c_str(), O_RDWR));
  EXPECT_FALSE(write_at(again.get(), tail_, 0));
}

TEST_F(Copies, AreInFewPieces) {
  // Pages 0, 9, 20, 33, ...: each gap is wider than the one before.
  std::vector<uint64_t> pages;
  for (uint64_t page = 0, gap = 8; pages.size() < 40; page += ++gap) pages.push_back(page);
  for (const uint64_t page : pages) view_.patches.push_back({{page * kPageSize}, {}, tail_});
  for (PatchView& patch : view_.patches) patch.bytes = patch.bytes.first(2);
  const std::vector<CodePiece> pieces = pieces_of(view_.patches);
  ASSERT_EQ(pieces.size(), kMostPieces);
  EXPECT_EQ(pieces[0].offset, 0U);
  EXPECT_EQ(pieces[0].size, (pages[40 - kMostPieces] + 1) * kPageSize);
  for (size_t i = 1; i < pieces.size(); ++i) {
    EXPECT_EQ(pieces[i].offset, pages[40 - kMostPieces + i] * kPageSize);
    EXPECT_EQ(pieces[i].size, kPageSize);
  }
}

TEST_F(Copies, AreInFewPiecesWhereAllGapsAreTheSame) {
  for (uint64_t i = 0; i < 1000; ++i)
    view_.patches.push_back({{i * 20 * kPageSize}, {}, ByteView(tail_).first(2)});
  const std::vector<CodePiece> pieces = pieces_of(view_.patches);
  EXPECT_EQ(pieces.size(), kMostPieces);
  for (size_t i = 1; i < pieces.size(); ++i)
    EXPECT_LT(pieces[i - 1].offset + pieces[i - 1].size, pieces[i].offset);
  EXPECT_EQ(pieces.back().offset + pieces.back().size, (999 * 20 + 1) * kPageSize);
}

}  // namespace
}  // namespace sysrewrite
