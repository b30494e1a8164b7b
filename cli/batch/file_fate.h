// What becomes of an ELF file of a tree, decided before anything is written.
#ifndef SYSREWRITE_CLI_BATCH_FILE_FATE_H_
#define SYSREWRITE_CLI_BATCH_FILE_FATE_H_

#include <optional>
#include <string>

#include "cli/input_file.h"
#include "rewriter/pipeline.h"

namespace sysrewrite {

enum class FileStatus {
  kRewritten,
  kAlready,  // rewritten before, and copied
  kExempt,   // copied, since there is nothing to rewrite: no code, or sysload itself
  kRefused,  // copied, since it cannot be rewritten
};

struct FileFate {
  FileStatus status = FileStatus::kRefused;
  std::string reason;                     // of kExempt and kRefused
  std::optional<Rewritten> rewritten;     // of kRewritten
  std::string interpreter;                // that the file names, or empty
  bool is_rewritten_interpreter = false;  // an ld.so, of kRewritten or kAlready
};

// What a tree decides for all of its files.
struct FateRules {
  Options options;
  // What of the new interpreter's path others than root could replace, or nothing.
  std::optional<std::string> replaceable;
};

// Whether the first bytes are those of an ELF file.
bool begins_as_elf(ByteView bytes);

// Whether it is a sysload, of this or another version.
bool is_sysload(ByteView bytes);

// An error only where the whole batch has to end: --on-unpatchable=fail.
Result<FileFate> decide_fate(const InputFile& input, const FateRules& rules);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_FILE_FATE_H_
