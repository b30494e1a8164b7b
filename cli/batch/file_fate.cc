#include "cli/batch/file_fate.h"

#include <algorithm>
#include <string_view>

#include "cli/privilege.h"
#include "trampoline/elf_types.h"
#include "trampoline/rewritten_file.h"

namespace sysrewrite {

namespace {

constexpr uint64_t kMostOfLoader = 64 << 20;  // sysload has 3 MB
constexpr uint64_t kMostOfPath = 4096;

struct Headers {
  bool has_code = false, has_code_bytes = false;
  std::string interpreter;
};

// A reading of its own, since files without code may be refused for what they lack.
std::optional<Headers> read_headers(ByteView bytes) {
  const auto header = load<elf::Ehdr>(bytes, 0);
  if (!header || header->ident[4] != elf::kClass64 || header->phentsize != sizeof(elf::Phdr))
    return std::nullopt;
  Headers headers;
  for (uint64_t i = 0; i < header->phnum; ++i) {
    if (!range_fits(header->phoff, (i + 1) * sizeof(elf::Phdr), bytes.size())) return std::nullopt;
    const auto phdr = *load<elf::Phdr>(bytes, header->phoff + i * sizeof(elf::Phdr));
    if (phdr.type == elf::kPtLoad && (phdr.flags & elf::kFlagExec) != 0) {
      headers.has_code = headers.has_code || phdr.memsz != 0;
      headers.has_code_bytes = headers.has_code_bytes || phdr.filesz != 0;
    }
    if (phdr.type != elf::kPtInterp || phdr.filesz > kMostOfPath) continue;
    if (const auto path = slice(bytes, phdr.offset, phdr.filesz)) {
      for (const std::byte byte : *path) {
        if (byte == std::byte{0}) break;
        headers.interpreter += static_cast<char>(byte);
      }
    }
  }
  return headers;
}

bool holds(ByteView bytes, std::string_view text) {
  const ByteView pattern = as_byte_view(text.data(), text.size());
  return std::search(bytes.begin(), bytes.end(), pattern.begin(), pattern.end()) != bytes.end();
}

FileFate kept(FileStatus status, std::string reason, const Headers& headers) {
  return {status, std::move(reason), std::nullopt, headers.interpreter, false};
}

}  // namespace

bool begins_as_elf(ByteView bytes) {
  constexpr std::string_view kMagic = "\177ELF";
  return bytes.size() >= kMagic.size() &&
         std::equal(kMagic.begin(), kMagic.end(), bytes.begin(),
                    [](char a, std::byte b) { return std::byte(a) == b; });
}

// Told by words that no other static program has.
bool is_sysload(ByteView bytes) {
  const auto headers = read_headers(bytes);
  return headers && headers->interpreter.empty() && bytes.size() <= kMostOfLoader &&
         holds(bytes, "usage: sysload [--hook HOOK]...") &&
         holds(bytes, " is sysload, and there is no ");
}

Result<FileFate> decide_fate(const InputFile& input, const FateRules& rules) {
  const ByteView bytes = input.bytes();
  const auto read = read_headers(bytes);
  const Headers headers = read.value_or(Headers{});
  if (headers.has_code && !headers.has_code_bytes)
    return kept(FileStatus::kExempt, "holds debugging information only, and no code", headers);
  // Rewritten, it would wait for itself.
  if (is_sysload(bytes)) return kept(FileStatus::kExempt, "is sysload itself", headers);
  auto rewritten = rewrite(bytes, rules.options);
  if (!rewritten) {
    if (rewritten.error().code == ErrorCode::kUnpatchable) return rewritten.error();
    return kept(FileStatus::kRefused, rewritten.error().message, headers);
  }
  const Report& report = rewritten->report;
  if (report.already_rewritten)
    return FileFate{FileStatus::kAlready,
                    {},
                    std::nullopt,
                    headers.interpreter,
                    (RewrittenFile::parse(bytes).file.meta().flags & kMetaInterpreter) != 0};
  if (report.start != StartChange::kNone && rules.options.interpreter && rules.replaceable &&
      bears_privilege(input))
    return kept(FileStatus::kRefused,
                privilege_error(*rules.options.interpreter, *rules.replaceable).message, headers);
  const bool is_interpreter = report.kind == ImageKind::kInterpreter;
  return FileFate{
      FileStatus::kRewritten, {}, std::move(*rewritten), headers.interpreter, is_interpreter};
}

}  // namespace sysrewrite
