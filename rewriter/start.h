// How a rewritten program comes to be started by sysload: what of its headers changes.
#ifndef SYSREWRITE_REWRITER_START_H_
#define SYSREWRITE_REWRITER_START_H_

#include <optional>
#include <string>
#include <vector>

#include "rewriter/elf_image.h"
#include "rewriter/options.h"
#include "rewriter/result.h"
#include "trampoline/layout.h"

namespace sysrewrite {

enum class StartChange : uint8_t {
  kNone,           // a library, or --no-interp
  kPathInPlace,    // the new path fits over the old one; survives strip
  kPathAtEnd,      // PT_INTERP's offset points at the end of the file
  kHeadersAtEnd,   // a static program: a new program-header table at the end of the file
  kNoteAtEnd,      // ld.so, whose table must not move: its PT_NOTE becomes PT_INTERP
  kPathInSegment,  // --embed=segment: PT_INTERP, an old or a new one, points into the new segment
};

// Bytes of the input to be replaced.
struct HeaderEdit {
  FileOffset offset;
  EditKind kind = EditKind::kElfHeader;
  std::vector<std::byte> bytes;
};

struct StartPlan {
  StartChange change = StartChange::kNone;
  std::string interpreter;         // empty where kNone
  std::vector<elf::Phdr> headers;  // the new table where kHeadersAtEnd, not yet finished
  std::optional<size_t> own_load;  // in it: the segment that maps the table itself
  Vaddr input_headers;             // where the kernel maps the input's table; 0: nowhere
};

// Fails where the interpreter is no absolute path or there are too many program headers.
Result<StartPlan> plan_start(const ElfImage& image, const Options& options);

// The edits, once it is known where path and table will lie.
std::vector<HeaderEdit> header_edits(const ElfImage& image, const StartPlan& plan, FileOffset path,
                                     FileOffset table);

// The new table, with what depends on where path and table lie.
std::vector<elf::Phdr> finished_headers(const StartPlan& plan, FileOffset path, FileOffset table);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_START_H_
