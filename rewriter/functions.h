// What is known of where functions begin and end: unwind tables, symbols, Go's pclntab, the entry
// point. Every decode starts at such a place where there is one.
#ifndef SYSREWRITE_REWRITER_FUNCTIONS_H_
#define SYSREWRITE_REWRITER_FUNCTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "rewriter/elf_image.h"
#include "rewriter/range_set.h"

namespace sysrewrite {

enum class StartEvidence : uint8_t { kFrameEntry, kSymbol, kGoTable, kEntryPoint };

struct Function {
  Vaddr start;
  Vaddr end;  // exclusive; the next known start where nothing names a size
  StartEvidence evidence = StartEvidence::kSymbol;
  bool sized = false;         // `end` was named, not guessed
  std::optional<Vaddr> lsda;  // language-specific data: the unwinder enters at landing pads
  bool signal_frame = false;
};

// Where code starts and where data lies. Immutable after build(), so thread safe.
class FunctionIndex {
 public:
  // How far from an address that was asked for the index answers: the widest question is about the
  // padding in front of a function, and looks back for 4096 bytes and twice a short jump's reach.
  static constexpr uint64_t kIndexedDistance = 8192;

  // Everything that the file tells.
  static FunctionIndex build(const ElfImage& image);
  // What build(image) says about addresses within kIndexedDistance of one of these, which ascend.
  // A large library has a hundred thousand functions and needs a few hundred of them.
  static FunctionIndex build_near(const ElfImage& image, const std::vector<Vaddr>& addresses);

  // True where all starts in [from, to) are known, if there are any.
  bool knows(Vaddr from, Vaddr to) const;

  // The innermost function whose range holds the address.
  std::optional<Function> covering(Vaddr address) const;
  // All of them that were named a size, the innermost first; nothing where too many functions lie
  // between the address and the start of one that reaches it.
  std::optional<std::vector<Function>> all_sized_covering(Vaddr address) const;
  // True where any start (function, label, alias) lies in [from, to).
  bool start_in(Vaddr from, Vaddr to) const;
  // True where a function starts there: labels do not count.
  bool function_starts_in(Vaddr from, Vaddr to) const;
  // The nearest start in (address, limit), or limit.
  Vaddr next_start(Vaddr address, Vaddr limit) const;
  // The nearest known start at or below the address and not below `limit`.
  std::optional<Vaddr> previous_start(Vaddr address, Vaddr limit) const;
  // True where an STT_OBJECT symbol with a size covers the address.
  bool is_object(Vaddr address) const;
  bool signal_frame_at(Vaddr address) const;
  // True where unwind tables cover most of the code, as every compiler's output has them: code that
  // they do not cover is then the exception.
  bool unwind_covers_most() const { return unwind_covers_most_; }

 private:
  std::vector<Function> functions_;  // ascending by start
  std::vector<uint64_t> starts_;     // ascending, labels included
  // For each function, the highest end of it and of those in front: how far any of them reaches.
  std::vector<uint64_t> reach_;
  struct Object {
    Vaddr start, end;
  };
  std::vector<Object> objects_;  // ascending by start
  uint64_t longest_ = 0;         // of a function, in bytes: how far covering() looks back
  uint64_t longest_object_ = 0;
  bool unwind_covers_most_ = false;
  std::optional<RangeSet> indexed_;  // nothing: everything is

  friend class FunctionCollector;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_FUNCTIONS_H_
