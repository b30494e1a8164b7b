#include "rewriter/start.h"

#include <fmt/format.h>

#include <cstddef>

namespace sysrewrite {

namespace {

constexpr size_t kLongestPath = 4095;        // PATH_MAX without the NUL
constexpr size_t kMostHeaders = 65536 / 56;  // fs/binfmt_elf.c load_elf_phdrs()

template <typename T>
std::vector<std::byte> bytes_of(const T& value) {
  const ByteView view = as_byte_view(&value, sizeof(value));
  return {view.begin(), view.end()};
}

// The first header of a type.
std::optional<size_t> header_index(const ElfImage& image, uint32_t type) {
  const auto& headers = image.program_headers();
  for (size_t i = 0; i < headers.size(); ++i)
    if (headers[i].type == type) return i;
  return std::nullopt;
}

std::optional<Error> check_path(const std::string& path) {
  if (path.empty() || path[0] != '/')
    return Error{ErrorCode::kOptions, std::nullopt,
                 fmt::format("the interpreter '{}' is no absolute path; the kernel would look for "
                             "it in the current directory",
                             path)};
  if (path.size() > kLongestPath || path.find('\0') != std::string::npos)
    return Error{ErrorCode::kOptions, std::nullopt,
                 "the interpreter's path is longer than 4095 bytes or holds a NUL"};
  return std::nullopt;
}

// Where the input's table appears in memory, as the kernel computes AT_PHDR.
Vaddr mapped_headers(const ElfImage& image) {
  for (const Segment& segment : image.segments()) {
    const uint64_t phoff = image.header().phoff;
    if (phoff >= segment.offset.value && phoff - segment.offset.value < segment.file_size)
      return segment.vaddr + (phoff - segment.offset.value);
  }
  return {0};
}

// Debuggers learn where a position-independent program lies by comparing the table that AT_PHDR
// names in memory with the file's, and the kernel computes AT_PHDR from the segment that holds the
// table. So the moved table gets a segment, behind the last one.
void add_own_load(const ElfImage& image, StartPlan& plan) {
  elf::Phdr load{};
  load.type = elf::kPtLoad;
  load.flags = elf::kFlagRead;
  load.vaddr = align_up(image.highest_end().value, kPageSize);
  load.align = kPageSize;
  // gABI: PT_LOADs ascend by address.
  size_t at = plan.headers.size();
  while (plan.headers[at - 1].type != elf::kPtLoad) --at;
  plan.headers.insert(plan.headers.begin() + static_cast<std::ptrdiff_t>(at), load);
  plan.own_load = at;
}

}  // namespace

Result<StartPlan> plan_start(const ElfImage& image, const Options& options) {
  StartPlan plan;
  plan.input_headers = mapped_headers(image);
  if (!options.interpreter || options.format == Format::kLitebox) return plan;
  if (auto error = check_path(*options.interpreter)) return *error;
  // A library can be executed too if it names an interpreter (libc.so.6).
  const bool is_started = image.interpreter() || !image.is_library();
  if (options.embed && is_started) {
    plan.interpreter = *options.interpreter;
    plan.change = StartChange::kPathInSegment;
    return plan;
  }
  if (const auto path = image.interpreter()) {
    plan.interpreter = *options.interpreter;
    const bool fits = plan.interpreter.size() < path->size();
    plan.change = fits ? StartChange::kPathInPlace : StartChange::kPathAtEnd;
    return plan;
  }
  if (image.kind() == ImageKind::kSharedObject) return plan;
  if (image.kind() == ImageKind::kInterpreter) {
    if (!header_index(image, elf::kPtNote)) return plan;
    plan.interpreter = *options.interpreter;
    plan.change = StartChange::kNoteAtEnd;
    return plan;
  }
  plan.interpreter = *options.interpreter;
  const size_t more = image.position_independent() ? 2 : 1;
  if (image.program_headers().size() + more > kMostHeaders)
    return Error{ErrorCode::kUnsupportedFile, image.header().phoff,
                 fmt::format("the kernel loads at most {} program headers, and the new table would "
                             "have {}; use --no-interp",
                             kMostHeaders, image.program_headers().size() + more)};
  plan.change = StartChange::kHeadersAtEnd;
  elf::Phdr interp{};
  interp.type = elf::kPtInterp;
  interp.flags = elf::kFlagRead;
  interp.filesz = interp.memsz = plan.interpreter.size() + 1;
  interp.align = 1;
  plan.headers.push_back(interp);  // gABI: PT_INTERP stands in front of every PT_LOAD
  plan.headers.insert(plan.headers.end(), image.program_headers().begin(),
                      image.program_headers().end());
  if (image.position_independent()) add_own_load(image, plan);
  return plan;
}

std::vector<elf::Phdr> finished_headers(const StartPlan& plan, FileOffset path, FileOffset table) {
  std::vector<elf::Phdr> headers = plan.headers;
  if (!headers.empty()) headers.front().offset = path.value;
  if (plan.own_load) {
    elf::Phdr& load = headers[*plan.own_load];
    load.offset = table.value;
    load.vaddr += table.value % kPageSize;
    load.paddr = load.vaddr;
    load.filesz = load.memsz = headers.size() * sizeof(elf::Phdr);
  }
  return headers;
}

std::vector<HeaderEdit> header_edits(const ElfImage& image, const StartPlan& plan, FileOffset path,
                                     FileOffset table) {
  switch (plan.change) {
    case StartChange::kNone:
    case StartChange::kPathInSegment:  // Embedding::edits()
      return {};
    case StartChange::kPathInPlace: {
      std::vector<std::byte> bytes(image.interpreter()->size());  // NUL to its end
      std::memcpy(bytes.data(), plan.interpreter.data(), plan.interpreter.size());
      return {{{image.find_header(elf::kPtInterp)->offset}, EditKind::kInterpreterPath, bytes}};
    }
    case StartChange::kPathAtEnd:
    case StartChange::kNoteAtEnd: {
      const bool note = plan.change == StartChange::kNoteAtEnd;
      const size_t index = *header_index(image, note ? elf::kPtNote : elf::kPtInterp);
      elf::Phdr header = image.program_headers()[index];
      header.type = elf::kPtInterp;
      header.offset = path.value;
      header.filesz = plan.interpreter.size() + 1;
      const FileOffset where{image.header().phoff + index * sizeof(elf::Phdr)};
      return {{where, EditKind::kProgramHeader, bytes_of(header)}};
    }
    case StartChange::kHeadersAtEnd: {
      const auto count = static_cast<uint16_t>(plan.headers.size());
      return {{{offsetof(elf::Ehdr, phoff)}, EditKind::kElfHeader, bytes_of(table.value)},
              {{offsetof(elf::Ehdr, phnum)}, EditKind::kElfHeader, bytes_of(count)}};
    }
  }
  return {};
}

}  // namespace sysrewrite
