// What is told of an ELF file in the end: enough for the report, little enough for thousands.
#ifndef SYSREWRITE_CLI_BATCH_ELF_RESULT_H_
#define SYSREWRITE_CLI_BATCH_ELF_RESULT_H_

#include <array>
#include <string>

#include "cli/batch/file_fate.h"

namespace sysrewrite {

inline constexpr std::array<Tier, 5> kTiers = {Tier::kInstruction, Tier::kSpringboard,
                                               Tier::kWindow, Tier::kTrap, Tier::kNative};

struct ElfResult {
  uint32_t entry = 0;  // of the manifest
  FileStatus status = FileStatus::kRefused;
  std::string reason;
  std::string interpreter;                // that the input names
  bool is_rewritten_interpreter = false;  // an ld.so, rewritten now or before
  ImageKind kind = ImageKind::kSharedObject;
  StartChange start = StartChange::kNone;
  uint64_t input_size = 0, output_size = 0;  // bytes
  std::array<size_t, kTiers.size()> tiers{};
  size_t pairs = 0, uncertain = 0, other_calls = 0;
  bool incomplete = false;

  static ElfResult of(uint32_t entry, const InputFile& input, const FileFate& fate);
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_ELF_RESULT_H_
