// What a caller may ask of a rewrite. The defaults are the product's.
#ifndef SYSREWRITE_REWRITER_OPTIONS_H_
#define SYSREWRITE_REWRITER_OPTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "rewriter/sites.h"
#include "trampoline/stub.h"

namespace sysrewrite {

inline constexpr const char* kDefaultInterpreter = "/usr/lib/sysload";

enum class Format : uint8_t { kSysrewrite, kLitebox };

// What becomes of a site that no jump fits.
enum class OnUnpatchable : uint8_t {
  kTrap,  // poison; the loader serves the trap
  kFail,  // an error, and nothing is written
  kKeep,  // left native, and listed
};

struct TierSet {
  bool a = true, b = true, c = true, d = true;
};

// Sites that a user names; see rewriter/selection.h.
struct SiteSelector {
  Vaddr from, to;      // the sites that start in [from, to), where there is no symbol
  std::string symbol;  // those of the function of this name
};

struct Options {
  Format format = Format::kSysrewrite;
  StubKind stub = StubKind::kRedzone;
  bool native_tail = true;
  // PT_INTERP of executables; nothing: left alone.
  std::optional<std::string> interpreter = kDefaultInterpreter;
  OnUnpatchable on_unpatchable = OnUnpatchable::kTrap;
  UncertainPolicy uncertain = UncertainPolicy::kLeave;
  TierSet tiers;
  bool embed = false;  // the trampoline as segments with sections; see rewriter/embedding.h
  std::vector<SiteSelector> only;     // patch these and leave the rest native; empty: all
  std::vector<SiteSelector> exclude;  // leave these native
  bool is_for_many = false;           // files: not each has what those two name
  // Sections, symbols and unwind information for the stubs, for debuggers.
  bool symbols = false;
  bool force = false;          // rewrite files that find a payload from their own end
  bool accept_traces = false;  // rewrite files that seem to be outputs which have lost their end
  // key=value, for sysload; written into the file.
  std::vector<std::string> loader_options;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_OPTIONS_H_
