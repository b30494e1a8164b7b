// Our output of real programs, read by others: LIEF, GNU readelf and GNU objdump, and by plain
// arithmetic on its bytes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <LIEF/ELF.hpp>
#include <set>

#include "rewriter/code_reader.h"
#include "tests/disassembly.h"
#include "tests/rewrites.h"

namespace sysrewrite {

namespace {

using namespace test;

// One rewrite of each sample, with both files on disk, shared by its tests.
struct Rewritten {
  ScratchDirectory scratch;
  Whole whole;
  std::string input, output;

  explicit Rewritten(const SampleFile& sample) : input(sample.path), output(scratch / "out") {
    whole = rewrite_whole(read_sample(sample));
    write_file(output, whole.output);
  }
};

const Rewritten& rewritten(const SampleFile& sample) {
  static std::map<std::string, Rewritten> all;
  return all.try_emplace(sample.name, sample).first->second;
}

class Witness : public testing::TestWithParam<SampleFile> {
 protected:
  const Rewritten& pair_ = rewritten(GetParam());
  const Whole& whole_ = pair_.whole;
  const RewrittenFile& file_ = whole_.file;

  uint64_t offset(Vaddr address, uint64_t size) const {
    const auto found = file_.offset_of(address, size);
    EXPECT_TRUE(found) << std::hex << address.value;
    return found ? found->value : 0;
  }
};

// --- Bytes
// -----------------------------------------------------------------------------------------

TEST_P(Witness, SeesNoByteChangedOutsideTheRecordedPlaces) {
  std::vector<bool> recorded(whole_.input.size());
  const auto record = [&recorded](uint64_t from, uint64_t size) {
    for (uint64_t at = from; at < from + size; ++at) recorded.at(at) = true;
  };
  for (uint32_t i = 0; i < file_.site_count(); ++i) {
    const SiteRecord site = file_.site(i);
    record(offset(file_.window_vaddr(site), site.window), site.window);
    if (site.springboard != kNoSpringboard)
      record(offset({file_.meta().base_vaddr + site.springboard}, kSpringboardSize),
             kSpringboardSize);
  }
  for (uint32_t i = 0; i < file_.edit_count(); ++i)
    record(file_.edit(i).offset, file_.edit(i).size);
  size_t changed = 0;
  for (size_t at = 0; at < whole_.input.size(); ++at) {
    if (whole_.input[at] == whole_.output[at]) continue;
    ++changed;
    ASSERT_TRUE(recorded[at]) << "byte at file offset " << std::hex << at;
  }
  EXPECT_GT(changed, file_.site_count());
}

TEST_P(Witness, RestoresTheInputFromTheRecords) {
  ASSERT_EQ(file_.meta().input_size, whole_.input.size());
  Bytes restored(whole_.output.begin(),
                 whole_.output.begin() + static_cast<std::ptrdiff_t>(whole_.input.size()));
  const auto put = [&restored](uint64_t at, ByteView bytes) {
    std::copy(bytes.begin(), bytes.end(), restored.begin() + static_cast<std::ptrdiff_t>(at));
  };
  for (uint32_t i = 0; i < file_.site_count(); ++i) {
    const SiteRecord site = file_.site(i);
    put(offset(file_.window_vaddr(site), site.window), file_.original_window(site));
    if (site.springboard != kNoSpringboard)
      put(offset({file_.meta().base_vaddr + site.springboard}, kSpringboardSize),
          file_.original_springboard(site));
  }
  for (uint32_t i = 0; i < file_.edit_count(); ++i)
    put(file_.edit(i).offset, file_.original_edit(file_.edit(i)));
  EXPECT_TRUE(restored == whole_.input);
}

TEST_P(Witness, FollowsEachWindowsJumpToItsStub) {
  const auto near_target = [this](uint64_t address) {
    const uint64_t at = offset({address}, 5);
    EXPECT_EQ(whole_.output[at], std::byte{0xe9}) << std::hex << address;
    return address + 5 + static_cast<uint64_t>(int64_t{*load<int32_t>(whole_.output, at + 1)});
  };
  for (uint32_t i = 0; i < file_.site_count(); ++i) {
    const SiteRecord site = file_.site(i);
    const uint64_t stub = file_.stub_vaddr(site).value;
    const uint64_t address = file_.site_vaddr(site).value;
    switch (site.tier) {
      case Tier::kInstruction:
      case Tier::kWindow:
        EXPECT_EQ(near_target(file_.window_vaddr(site).value), stub);
        break;
      case Tier::kSpringboard: {
        const uint64_t at = offset({address}, 2);
        EXPECT_EQ(whole_.output[at], std::byte{0xeb});
        const auto distance = static_cast<int8_t>(whole_.output[at + 1]);
        const uint64_t board = file_.meta().base_vaddr + site.springboard;
        EXPECT_EQ(address + 2 + static_cast<uint64_t>(int64_t{distance}), board);
        EXPECT_EQ(near_target(board), stub);
        break;
      }
      case Tier::kTrap:
        EXPECT_EQ(to_hex(output_at(whole_, address, 2)), "f1 f4");
        break;
      case Tier::kNative:
        EXPECT_EQ(to_hex(output_at(whole_, address, 2)), "0f 05");
        break;
    }
  }
}

TEST_P(Witness, FollowsEachStubBackToItsWindowsEnd) {
  for (uint32_t i = 0; i < file_.site_count(); ++i) {
    const SiteRecord site = file_.site(i);
    if (site.tier == Tier::kNative) continue;
    const ByteView stub = stub_of(whole_, i);
    const uint64_t end = file_.stub_vaddr(site).value + stub.size();
    ASSERT_EQ(stub[stub.size() - 5], std::byte{0xe9});
    const auto distance = *load<int32_t>(stub, stub.size() - 4);
    EXPECT_EQ(end + static_cast<uint64_t>(int64_t{distance}),
              file_.window_vaddr(site).value + site.window);
  }
}

TEST_P(Witness, FindsEachDisplacedInstructionInItsStub) {
  for (uint32_t i = 0; i < file_.site_count(); ++i) {
    const SiteRecord site = file_.site(i);
    const ByteView window = file_.original_window(site), stub = stub_of(whole_, i);
    for (uint32_t d = 0; d < site.displaced; ++d) {
      const DisplacedRecord record = file_.displaced(site, d);
      const Decoder decoder;
      const auto before = decoder.decode(window.subspan(record.original),
                                         file_.window_vaddr(site) + record.original);
      const auto after =
          decoder.decode(stub.subspan(record.copy), file_.stub_vaddr(site) + record.copy);
      ASSERT_TRUE(before && after);
      // The same but for the displacement of a RIP-relative operand, whose target is the same.
      EXPECT_EQ(before->length, after->length);
      EXPECT_EQ(before->target, after->target);
      for (uint8_t at = 0; at < before->length; ++at) {
        const bool displacement =
            before->rip_relative() && at >= before->displacement && at < before->displacement + 4;
        EXPECT_TRUE(displacement || window[record.original + at] == stub[record.copy + at]);
      }
    }
  }
}

TEST_P(Witness, CountsTiersAndCandidatesThatAddUp) {
  const Report& report = whole_.report;
  const MetaHeader& meta = file_.meta();
  size_t tiers = 0;
  for (const Tier tier :
       {Tier::kInstruction, Tier::kSpringboard, Tier::kWindow, Tier::kTrap, Tier::kNative})
    tiers += report.count(tier);
  EXPECT_EQ(tiers, report.sites.size());
  EXPECT_EQ(meta.instruction_count, report.sites.size());
  EXPECT_EQ(meta.candidate_count,
            meta.instruction_count + meta.inside_count + meta.data_count + meta.uncertain_count);
  for (uint32_t i = 0; i < file_.site_count(); ++i) {
    const SiteRecord site = file_.site(i);
    EXPECT_EQ(file_.site_vaddr(site), report.sites[i].address);
    EXPECT_EQ(site.tier, report.sites[i].tier);
    EXPECT_NE(std::string(reason_text(static_cast<Reason>(site.reason))), "unknown reason");
    EXPECT_NE(static_cast<Reason>(site.reason), Reason::kNone);
  }
}

// --- objdump
// ---------------------------------------------------------------------------------------

std::set<uint64_t> system_calls(const std::map<uint64_t, Line>& lines) {
  std::set<uint64_t> found;
  for (const auto& [address, line] : lines)
    if (line.text.find("syscall") == 0) found.insert(address);
  return found;
}

TEST_P(Witness, ObjdumpFindsTheSameSystemCallsInTheInput) {
  std::set<uint64_t> sites;
  for (const SiteReport& site : whole_.report.sites) sites.insert(site.address.value);
  EXPECT_EQ(system_calls(disassemble(pair_.input)), sites);
}

TEST_P(Witness, ObjdumpFindsNoRedirectedSystemCallInTheOutput) {
  std::set<uint64_t> native;
  for (const SiteReport& site : whole_.report.sites)
    if (site.tier == Tier::kNative) native.insert(site.address.value);
  EXPECT_EQ(system_calls(disassemble(pair_.output)), native);
}

// objdump prints some prefixes as instructions of their own.
bool comparable(const Line& line) {
  for (const char* odd : {"(bad)", "data16", "rex", "repz", "repnz", "lock", "cs ", "ds ", "es ",
                          "ss ", "fs ", "gs ", "addr32", ".byte"})
    if (line.text.find(odd) == 0) return false;
  return true;
}

TEST_P(Witness, ObjdumpAgreesOnTheLengthOfEveryInstruction) {
  const auto image = ElfImage::parse(whole_.input);
  ASSERT_TRUE(image.ok());
  const Decoder decoder;
  size_t compared = 0;
  for (const auto& [address, line] : disassemble(pair_.input)) {
    if (!comparable(line)) continue;
    const auto bytes = image->bytes_from({address});
    ASSERT_TRUE(bytes);
    if (bytes->front() == std::byte{0x9b}) continue;  // fwait, for objdump part of what follows
    const auto in = decoder.decode(*bytes, {address});
    ASSERT_TRUE(in) << std::hex << address << ": " << line.text;
    ASSERT_EQ(int{in->length}, static_cast<int>(line.length))
        << std::hex << address << ": " << line.text;
    ++compared;
  }
  EXPECT_GT(compared, 10000U);
}

TEST_P(Witness, ObjdumpAgreesOnInstructionStartsAroundEachCandidate) {
  const auto image = ElfImage::parse(whole_.input);
  ASSERT_TRUE(image.ok());
  const FunctionIndex functions = FunctionIndex::build(*image);
  CodeReader reader(*image, functions);
  const auto lines = disassemble(pair_.input);
  size_t compared = 0;
  for (const ClassifiedCandidate& candidate : whole_.report.candidates) {
    const auto around = reader.around(candidate.candidate.address);
    ASSERT_TRUE(around) << std::hex << candidate.candidate.address.value;
    for (const Instruction& in : around->code) {
      if (!in.reached) continue;
      EXPECT_TRUE(lines.contains(in.address.value)) << std::hex << in.address.value;
      ++compared;
    }
  }
  EXPECT_GT(compared, 10 * whole_.report.sites.size());
}

// --- readelf
// ---------------------------------------------------------------------------------------

TEST_P(Witness, ReadelfReadsHeadersWithoutComplaint) {
  const std::string complaints =
      output_of("/usr/bin/readelf -hlSdW " + pair_.output + " 2>&1 >/dev/null | wc -l");
  EXPECT_EQ(complaints, "0\n");
}

TEST_P(Witness, ReadelfSeesTheSameSectionsAndSymbols) {
  for (const char* what : {"-SW", "-sW", "-dW", "-nW", "-rW"}) {
    // The header's own offsets are named in a line above the table.
    const auto table = [what](const std::string& path) {
      return output_of(std::string("/usr/bin/readelf ") + what + " " + path +
                       " | sed '/section headers, starting at/d'");
    };
    EXPECT_TRUE(table(pair_.input) == table(pair_.output)) << what;
  }
}

// --- LIEF
// ------------------------------------------------------------------------------------------

TEST_P(Witness, LiefReadsTheSameProgram) {
  const auto before = LIEF::ELF::Parser::parse(pair_.input);
  const auto after = LIEF::ELF::Parser::parse(pair_.output);
  ASSERT_TRUE(before != nullptr && after != nullptr);
  EXPECT_EQ(before->header().entrypoint(), after->header().entrypoint());
  EXPECT_EQ(before->header().file_type(), after->header().file_type());
  ASSERT_EQ(before->sections().size(), after->sections().size());
  for (size_t i = 0; i < before->sections().size(); ++i) {
    const auto &old_section = before->sections()[i], &section = after->sections()[i];
    EXPECT_EQ(old_section.name(), section.name());
    EXPECT_EQ(old_section.virtual_address(), section.virtual_address());
    EXPECT_EQ(old_section.offset(), section.offset());
    EXPECT_EQ(old_section.size(), section.size());
  }
  // Segments: the same, with PT_INTERP in front where there was none.
  const bool started = whole_.report.start == StartChange::kHeadersAtEnd;
  const size_t extra = started ? 1 : 0;
  const bool own_load = started && after->header().file_type() == LIEF::ELF::E_TYPE::ET_DYN;
  ASSERT_EQ(before->segments().size() + extra + (own_load ? 1 : 0), after->segments().size());
  if (started) {
    EXPECT_EQ(after->segments()[0].type(), LIEF::ELF::SEGMENT_TYPES::PT_INTERP);
    EXPECT_EQ(after->interpreter(), kDefaultInterpreter);
  }
  size_t next = extra;
  for (size_t i = 0; i < before->segments().size(); ++i, ++next) {
    // The segment that maps the moved table lies behind the input.
    if (own_load && after->segments()[next].file_offset() >= read_file(pair_.input).size()) {
      EXPECT_EQ(after->segments()[next].type(), LIEF::ELF::SEGMENT_TYPES::PT_LOAD);
      EXPECT_LE(after->segments()[next].file_offset(), after->header().program_headers_offset());
      ++next;
    }
    const auto &old_segment = before->segments()[i], &segment = after->segments()[next];
    // ld.so's own note is what names its interpreter now.
    if (whole_.report.start == StartChange::kNoteAtEnd &&
        old_segment.type() == LIEF::ELF::SEGMENT_TYPES::PT_NOTE) {
      EXPECT_EQ(segment.type(), LIEF::ELF::SEGMENT_TYPES::PT_INTERP);
      EXPECT_EQ(after->interpreter(), kDefaultInterpreter);
      EXPECT_EQ(segment.virtual_address(), old_segment.virtual_address());
      continue;
    }
    EXPECT_EQ(old_segment.type(), segment.type());
    EXPECT_EQ(old_segment.file_offset(), segment.file_offset());
    EXPECT_EQ(old_segment.virtual_address(), segment.virtual_address());
    EXPECT_EQ(old_segment.physical_size(), segment.physical_size());
    EXPECT_EQ(old_segment.virtual_size(), segment.virtual_size());
    EXPECT_EQ(old_segment.flags(), segment.flags());
  }
}

INSTANTIATE_TEST_SUITE_P(Samples, Witness, testing::ValuesIn(kSampleFiles),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace

}  // namespace sysrewrite
