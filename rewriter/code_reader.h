// Decodes just enough code: the functions around a candidate, each from a known start.
//
// Within a function control flow is followed first, since hand-written code keeps tables behind a
// jump, and a plain sweep would read them as instructions. What flow does not reach (jump-table
// cases, landing pads, padding, data) is swept afterwards, between what it did reach, and keeps
// `reached` false: whoever relies on such an instruction asks for more evidence.
#ifndef SYSREWRITE_REWRITER_CODE_READER_H_
#define SYSREWRITE_REWRITER_CODE_READER_H_

#include <deque>
#include <optional>
#include <vector>

#include "rewriter/agreement.h"
#include "rewriter/decoder.h"
#include "rewriter/dispatch.h"
#include "rewriter/elf_image.h"
#include "rewriter/functions.h"
#include "rewriter/outline.h"
#include "trampoline/reason.h"

namespace sysrewrite {

// How an instruction start came to be believed.
enum class Trust : uint8_t {
  kKnownStart,  // a decode from a known function start arrives there
  kAgreement,   // no known start, but decodes from many places all arrive there
};

// The instructions around one address, ascending; where two neighbours do not touch, what lies
// between is not known.
struct Neighborhood {
  std::vector<Instruction> code;
  Trust trust = Trust::kKnownStart;
  std::optional<Function> function;  // of the address; nothing where kAgreement
  bool indirect_jump = false;        // the function has one
  // Where the function may be entered other than by what a scan finds: its landing pads. Ascending,
  // complete unless `opaque`. Filled by widen().
  std::vector<uint64_t> hidden_entries;
  Reason opaque = Reason::kNone;  // what could not be read
  // Instructions in the middle of these that something leads to as well (Outline::overlapping).
  std::vector<Outline::Span> overlapping;
  bool clean = true;  // is_clean(code)

  // The instruction that holds the address, or null.
  const Instruction* holding(Vaddr address) const;
  // Its index, for an address that is an instruction's start.
  std::optional<size_t> index_of(Vaddr address) const;
};

// No instruction that compilers do not emit, and no zeros but those that Free Pascal pads with,
// from behind a jump or return to the next function at a multiple of 16. Other data is full of
// zeros: each table that GHC puts in front of code holds small numbers in words of 32 bits.
bool is_clean(const std::vector<Instruction>& code);

// The instruction that holds an address, as far as it takes to tell what a candidate is not.
struct Holder {
  Vaddr start;
  Vaddr end;
  Trust trust = Trust::kKnownStart;
  bool reached = false;      // as Instruction::reached
  bool called_over = false;  // the address asked for lies where Outline::is_called_over
};

// Not thread safe: it remembers the functions decoded last, since candidates come in order.
class CodeReader {
 public:
  CodeReader(const ElfImage& image, const FunctionIndex& functions);

  // What around() would have found to hold the address, without what lies around it.
  std::optional<Holder> holder_of(Vaddr address);

  // Nothing where no decode arrives anywhere near the address.
  std::optional<Neighborhood> around(Vaddr address);

  // Adds what lies beyond the function's ends, up to short-jump distance from the address. Most
  // candidates turn out to be no system call, and their neighbours are never decoded.
  void widen(Neighborhood& around, Vaddr address);

  // What decodes from many places agree on, whatever is known of functions.
  std::optional<Neighborhood> by_agreement(Vaddr address);
  // The same of nearby_starts(), within `reach` bytes.
  std::optional<Neighborhood> nearby(Vaddr address, uint64_t reach);

  // Other readings of a pair of bytes: overlapping instructions with one of them.
  std::vector<Outline::Span> other_readings(Vaddr pair);

  // The start of the instruction in by_agreement() that holds the address.
  std::optional<Vaddr> agreed_holder(Vaddr address);

  // The start of the instruction that holds the address: by flow from a known start, or by
  // agreement.
  std::optional<Vaddr> known_holder(Vaddr address);

  // The function whose start around() would begin from, if its extent is known well enough.
  std::optional<Function> believed_function(Vaddr address) const;

  // True where code may go into these bytes, nops or int3 behind some end, unseen by every scan: by
  // a label of the function that they lie in, or by one of its landing pads. A loop's label may
  // stand in front of the padding that aligns the loop.
  bool entered_unseen(const Range& padding);

  const Decoder& decoder() const { return decoder_; }
  const ElfImage& image() const { return image_; }

 private:
  std::optional<Holder> agreed(Vaddr address);
  Neighborhood agreed_code(const std::vector<Vaddr>& starts);
  bool short_branch_to(Vaddr address) const;
  std::optional<ByteView> pay_for(const Function& function);
  // Adds those that a branch of the code itself leads to.
  void add_overlapping(Neighborhood& around) const;
  const Outline* outline(const Function& function);
  Instruction describe(const Outline::Span& span);
  std::vector<Instruction> describe(const Outline& function, Vaddr from, Vaddr to);
  // What add_hidden_entries() and entered_unseen() ask of a function.
  struct HiddenEntries {
    Vaddr start, end;  // the function's
    std::vector<uint64_t> pads;
    Reason opaque = Reason::kNone;
  };

  Reason label_objection(const Function& function);
  const HiddenEntries& hidden_entries(const Function& function);
  std::optional<Neighborhood> from_known_start(Vaddr address);
  void add_hidden_entries(Neighborhood& around);
  std::optional<Vaddr> describe_end_of(const Function& function, Vaddr limit, Vaddr border,
                                       std::vector<Instruction>& part);
  std::optional<Vaddr> describe_gap_before(Vaddr limit, Vaddr border,
                                           std::vector<Instruction>& part);
  void add_before(Vaddr address, std::vector<Instruction>& code);
  void add_behind(Vaddr address, std::vector<Instruction>& code);
  std::vector<Instruction> decode_gap(Vaddr from, Vaddr to) const;

  const ElfImage& image_;
  const FunctionIndex& functions_;
  Decoder decoder_;
  StepLengths lengths_;
  std::deque<Outline> recent_;
  DispatchLabels dispatch_labels_;
  std::deque<HiddenEntries> recent_entries_;
  std::vector<Instruction> described_;  // by the low bits of its address, the one described last
  uint64_t budget_;                     // bytes of functions that may still be decoded or read
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_CODE_READER_H_
