#include "loader/engine/hook_object.h"

#include <cstring>

#include "loader/engine/hook_image.h"
#include "loader/memory.h"
#include "loader/report.h"
#include "loader/syscalls.h"

// How a hook comes into memory.
//
// Whether it can be used is HookImage's to say, from the file's bytes, before anything is mapped.
// Then the whole span is reserved without access, and each segment replaces its part of that:
//
//     | r--  headers | r-x  code | r-- constants | rw- data, relro | rw- bss |
//       from the file  from the file, never writable
//
// Data is relocated in place, the pages of PT_GNU_RELRO are then made read-only. Nothing executable
// is ever written, so it works where that is forbidden (PR_SET_MDWE), and the code's pages stay
// shared between processes. Holes between segments stay reserved, as ld.so leaves them.

namespace sysrewrite {

namespace {

constexpr char kPhase[] = "hook";

class Loading {
 public:
  explicit Loading(const char* path) : path_(path) {}

  RuntimeAddr run(HookObject* mapped) {
    open();
    Refusal why;
    if (!image_.read(bytes_, why)) fail(kPhase, path_, ": ", why.text());
    reserve();
    for (uint32_t i = 0; i < image_.segment_count(); ++i) map_segment(image_.segment(i));
    relocate();
    protect_relro();
    sys::unmap(Memory::address_of(bytes_.data()), bytes_.size());
    sys::close(fd_);
    *mapped = {at(image_.low()), span()};
    return at(image_.init());
  }

 private:
  RuntimeAddr at(Vaddr vaddr) const { return {vaddr.value + bias_}; }
  uint64_t span() const { return image_.high().value - image_.low().value; }

  void open();
  void reserve();
  void map_segment(const elf::Phdr& segment) const;
  void relocate() const;
  void protect_relro() const;

  const char* path_;
  sys::Fd fd_ = -1;
  ByteView bytes_;
  HookImage image_;
  uint64_t bias_ = 0;
};

void Loading::open() {
  fd_ = sys::open_for_reading(path_);
  if (sys::failed(fd_)) fail_errno(fd_, kPhase, "cannot open ", path_);
  const int64_t size = sys::size_of_regular_file(fd_);
  if (sys::failed(size)) fail_errno(size, kPhase, "cannot read ", path_);
  if (size == 0) fail(kPhase, path_, ": the file is empty");
  const int64_t view = sys::map_file(static_cast<uint64_t>(size), sys::kRead, fd_, {0});
  if (sys::failed(view)) fail_errno(view, kPhase, "cannot map ", path_);
  bytes_ = Memory::view({static_cast<uint64_t>(view)}, static_cast<uint64_t>(size));
}

void Loading::reserve() {
  const uint64_t alignment = image_.alignment();
  const uint64_t size = span() + alignment - kPageSize;  // each bounded by HookImage
  const int64_t answer = sys::map_anonymous(0, size, sys::kNoAccess);
  if (sys::failed(answer)) fail_errno(answer, kPhase, "no memory for ", path_);
  const auto start = static_cast<uint64_t>(answer);
  bias_ = align_down(start - image_.low().value + alignment - 1, alignment);
  const uint64_t used = at(image_.low()).value;
  sys::unmap({start}, used - start);
  sys::unmap({used + span()}, start + size - (used + span()));
}

void Loading::map_segment(const elf::Phdr& segment) const {
  const uint64_t start = align_down(at({segment.vaddr}).value, kPageSize);
  const uint64_t file_end = at({segment.vaddr}).value + segment.filesz;
  const uint64_t end = align_up(at({segment.vaddr}).value + segment.memsz, kPageSize);
  const uint64_t file_pages_end = segment.filesz == 0 ? start : align_up(file_end, kPageSize);
  const bool is_writable = (segment.flags & elf::kFlagWrite) != 0;
  const uint32_t protection = ((segment.flags & elf::kFlagRead) != 0 ? sys::kRead : 0U) |
                              (is_writable ? sys::kWrite : 0U) |
                              ((segment.flags & elf::kFlagExec) != 0 ? sys::kExec : 0U);
  int64_t answer = 0;
  if (segment.filesz != 0)
    answer = sys::replace_file({start}, file_pages_end - start, protection, fd_,
                               {segment.offset - segment.vaddr % kPageSize});
  if (sys::failed(answer)) fail_errno(answer, kPhase, "cannot map a segment of ", path_);
  // What follows in the last page belongs to something else in the file.
  if (is_writable && segment.filesz != 0 && segment.memsz != segment.filesz)
    memset(Memory::at<void>({file_end}), 0, file_pages_end - file_end);
  if (end > file_pages_end)
    answer = sys::replace_anonymous({file_pages_end}, end - file_pages_end, protection);
  if (sys::failed(answer)) fail_errno(answer, kPhase, "no memory for a segment of ", path_);
}

// Hidden from the optimizer, which would make a table of addresses, with a relocation for each.
template <typename Function>
uint64_t address_of(Function* function) {
  asm("" : "+r"(function));
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  return reinterpret_cast<uintptr_t>(function);
}

uint64_t address_of(LentFunction function) {
  switch (function) {
    case LentFunction::kNone:
      return 0;
    case LentFunction::kMemcpy:
      return address_of(&memcpy);
    case LentFunction::kMemmove:
      return address_of(&memmove);
    case LentFunction::kMemset:
      return address_of(&memset);
    case LentFunction::kMemcmp:
      return address_of(&memcmp);
    case LentFunction::kStrlen:
      return address_of(&strlen);
  }
  return 0;
}

void Loading::relocate() const {
  HookRelocations relocations(image_);
  HookRelocation relocation{};
  Refusal why;
  for (;;) {
    const HookRelocations::Step step = relocations.next(relocation, why);
    if (step == HookRelocations::Step::kEnd) return;
    if (step == HookRelocations::Step::kRefused) fail(kPhase, path_, ": ", why.text());
    const uint64_t value =
        relocation.value + (relocation.biased ? bias_ : 0) + address_of(relocation.lent);
    memcpy(Memory::at<void>(at(relocation.place)), &value, sizeof(value));
  }
}

void Loading::protect_relro() const {
  if (image_.relro_end() <= image_.relro_start()) return;
  const int64_t answer =
      sys::protect(at(image_.relro_start()),
                   static_cast<uint64_t>(image_.relro_end() - image_.relro_start()), sys::kRead);
  if (sys::failed(answer)) fail_errno(answer, kPhase, "cannot protect the constants of ", path_);
}

}  // namespace

RuntimeAddr load_hook_object(const char* path, HookObject* mapped) {
  return Loading(path).run(mapped);
}

}  // namespace sysrewrite
