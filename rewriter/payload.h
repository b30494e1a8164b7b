// Files that read themselves from the end: appending a trampoline would hide their payload.
#ifndef SYSREWRITE_REWRITER_PAYLOAD_H_
#define SYSREWRITE_REWRITER_PAYLOAD_H_

#include <optional>

#include "rewriter/elf_image.h"
#include "rewriter/options.h"
#include "rewriter/result.h"

namespace sysrewrite {

// The reason to refuse, where something stands behind the last segment and section (Bun and
// PyInstaller executables, AppImages, self-extractors) and --force was not given.
std::optional<Error> refuse_payload(const ElfImage& image, const Options& options);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_PAYLOAD_H_
