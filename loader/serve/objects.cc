#include "loader/serve/objects.h"

#include <asm/unistd.h>
#include <linux/mman.h>

#include <algorithm>

#include "loader/engine/foreign_threads.h"
#include "loader/memory.h"
#include "loader/report.h"
#include "loader/serve/client.h"
#include "loader/serve/library_span.h"
#include "loader/signals/site_tables.h"
#include "loader/start/image_map.h"
#include "loader/start/lost_trailer.h"
#include "loader/start/original_headers.h"
#include "loader/start/program_file.h"
#include "loader/start/unseen.h"
#include "loader/state.h"

// Room for a trampoline.
//
// ld.so maps a library in two steps: the whole span of its segments with one mmap, from the file's
// start, anywhere; then each further segment with MAP_FIXED inside it. The trampoline of a library
// lies behind its last segment (or below its first: a program that is loaded as one), and what lies
// there in memory is nearly always the neighbour. So the first mmap is answered from a reservation
// that is larger by what the trampoline needs:
//
//      ld.so asks for:      |==== span ====|
//      reserved:            |==== span ====|-- gap --|= slot =|== stubs ==|
//      ld.so is told:       ^                        replaced by the trampoline
//
// MAP_FIXED replaces only what was reserved here a moment ago, and what becomes the trampoline is
// reserved until it does: another thread of the program may take whatever is free. The gap is given
// back.

namespace sysrewrite {

namespace {

constexpr char kPhase[] = "library";

struct Span {
  uint64_t low, high;  // vaddrs, page-aligned; low may be "negative"
};

// The library's own span and its trampoline.
Span span_of(const LibraryRequest& request, const Trailer& trailer, Vaddr image_low) {
  const uint64_t image_end = image_low.value + align_up(request.size, kPageSize);
  Span span{image_low.value, image_end};
  const uint64_t end = trailer.vaddr + trailer.size;
  if (static_cast<int64_t>(trailer.vaddr - span.low) < 0) span.low = trailer.vaddr;
  if (static_cast<int64_t>(end - span.high) > 0) span.high = end;
  return span;
}

bool overlaps_image(const LibraryRequest& request, const Trailer& trailer, Vaddr image_low) {
  const uint64_t from = trailer.vaddr - image_low.value;
  return from < request.size || from + trailer.size - 1 < from;
}

// nullptr: all are in use.
MappedObject* free_entry() {
  ObjectTable& table = sysload_state.objects;
  for (uint32_t i = 0; i < table.count; ++i)
    if (table.entries[i].size == 0) return &table.entries[i];
  return table.count == table.entries.size() ? nullptr : &table.entries[table.count];
}

// Makes munmap of anything from `first` to `last` come here; see the filter in serve.S.
void watch(uint64_t first, uint64_t last) {
  sysload_state.objects_low = std::min(sysload_state.objects_low, first);
  sysload_state.objects_high = std::max(sysload_state.objects_high, last + 1);
}

void remember(const MappedObject& object) {
  ObjectTable& table = sysload_state.objects;
  MappedObject* const entry = free_entry();
  if (entry == nullptr) fail(kPhase, "more than ", table.count, " are mapped");
  *entry = object;
  if (entry == &table.entries[table.count]) ++table.count;
  watch(object.base.value, object.code_end.value);
  sysload_state.prepared.size = 0;
}

// `size` is that of what is mapped of the file, from its first segment on.
void serve_object(const ProgramFile& file, const ElfImage& image, uint64_t bias, uint64_t size,
                  TrampolinePlace place) {
  const Trailer& trailer = file.rewritten().trailer();
  const MappedImage mapped(bias);
  const SegmentBounds bounds = image.bounds(bias, file.size());
  map_trampoline(file, mapped, {sysload_state.callback}, place);
  add_site_table(file, mapped);
  remember({mapped.at(image.low()),
            size,
            {align_down(bounds.start_code, kPageSize)},
            {align_up(bounds.end_code, kPageSize)},
            mapped.at({trailer.vaddr}),
            trailer.size});
}

// ld.so will ask for the code next. Whoever has the copy in hand now maps it at once, and need not
// ask the server a second time. A program that reads a library as data, and happens to map as much
// of it as ld.so would, must see the original's bytes.
void prepare_code(const ProgramFile& file, const ElfImage& image, RuntimeAddr base,
                  uint64_t object_size, uint64_t bias) {
  for (uint32_t i = 0; i < image.header_count(); ++i) {
    const elf::Phdr segment = image.header(i);
    if (segment.type != elf::kPtLoad || (segment.flags & elf::kFlagExec) == 0) continue;
    const uint64_t start = align_down(segment.vaddr, kPageSize);
    const PreparedCode code{
        {start + bias},
        align_up(segment.vaddr + segment.filesz, kPageSize) - start,
        align_down(segment.offset, kPageSize),
        segment.flags == (elf::kFlagRead | elf::kFlagExec) ? sys::kRead | sys::kExec : 0U,
        {}};
    const bool fits = range_fits(code.address.value - base.value, code.size, object_size);
    // At offset 0 it is a part of the first mapping.
    if (code.protection == 0 || code.offset == 0 || !fits) return;
    const int64_t mapped =
        file.replace_code(code.address, code.size, code.protection, MAP_PRIVATE, code.offset);
    PreparedCode& prepared = sysload_state.prepared;
    prepared = code;
    if (sys::failed(mapped) || sys::failed(sys::identify(file.fd(), &prepared.file)))
      prepared.size = 0;
    return;
  }
}

// True where exactly this lies there already. It is protected anew, since glibc takes the access to
// a whole span with holes away before it maps the segments.
bool code_was_prepared(RuntimeAddr address, uint64_t size, uint32_t protection, uint64_t flags,
                       sys::Fd fd, uint64_t offset) {
  if ((flags & ~uint64_t{MAP_PRIVATE | MAP_FIXED | MAP_DENYWRITE}) != 0) return false;
  PreparedCode& code = sysload_state.prepared;
  if (code.size == 0 || code.address != address) return false;
  sys::FileIdentity file{};
  const bool same = code.size == size && code.offset == offset && code.protection == protection &&
                    !sys::failed(sys::identify(fd, &file)) && file == code.file;
  code.size = 0;  // what happens there next is not known here
  return same && !sys::failed(sys::protect(address, size, protection));
}

struct Range {
  RuntimeAddr start, end;
};

// What of this memory is not in `kept`. 0, or why not.
int64_t unmap_outside(const Range& memory, const Range& kept) {
  const auto unmap = [](RuntimeAddr start, RuntimeAddr end) {
    return start < end ? sys::unmap(start, end.value - start.value) : 0;
  };
  const int64_t answer = unmap(std::max(memory.start, kept.end), memory.end);
  return sys::failed(answer) ? answer : unmap(memory.start, std::min(memory.end, kept.start));
}

int64_t map_with_trampoline(const LibraryRequest& request, const ProgramFile& file,
                            const ElfImage& image) {
  const Trailer& trailer = file.rewritten().trailer();
  if (overlaps_image(request, trailer, image.low()))
    fail(kPhase, "the trampoline of ", file.path(), " lies inside its image");
  const Span span = span_of(request, trailer, image.low());
  // The stubs reach the library where they were made to lie, so a hint is followed only where there
  // is room for both.
  const uint64_t below = image.low().value - span.low;
  const uint64_t hint = request.hint == 0 ? 0 : request.hint - below;
  const int64_t reserved = sys::map_anonymous(hint, span.high - span.low, sys::kNoAccess);
  if (sys::failed(reserved)) return reserved;
  const uint64_t bias = static_cast<uint64_t>(reserved) - span.low;
  const RuntimeAddr base = {image.low().value + bias};
  const bool is_code = (request.protection & sys::kExec) != 0;
  const int64_t mapped =
      is_code
          ? file.replace_code(base, request.size, request.protection, request.flags, 0)
          : sys::replace_like(base, request.size, request.protection, request.flags, request.fd, 0);
  if (sys::failed(mapped)) {
    sys::unmap({static_cast<uint64_t>(reserved)}, span.high - span.low);
    return mapped;
  }
  serve_object(file, image, bias, request.size, TrampolinePlace::kHeld);
  const RuntimeAddr image_end = {align_up(base.value + request.size, kPageSize)};
  const RuntimeAddr trampoline = {trailer.vaddr + bias};
  const Range kept{trampoline, trampoline + trailer.size};
  unmap_outside({{span.low + bias}, base}, kept);
  unmap_outside({image_end, {span.high + bias}}, kept);
  if (file.has_copy() && request.by_interpreter)
    prepare_code(file, image, base, request.size, bias);
  return static_cast<int64_t>(base.value);
}

// Where nothing has to be mapped beside it: as ld.so asked.
int64_t map_as_asked(const LibraryRequest& request) {
  return sys::call(__NR_mmap, request.hint, request.size, request.protection, request.flags,
                   static_cast<uint64_t>(request.fd), 0);
}

// A program that ld.so was asked to start: ld.so reads its own name there. One with a segment for
// that gets it when ld.so has mapped the segment.
void restore_path_for_interpreter(const ProgramFile& file, const ElfImage& image,
                                  const MappedImage& mapped) {
  if (file.rewritten().is_segment()) return;
  restore_headers(file, image, mapped);
}

// The segments of a library follow its first mapping at once.
void note_seen(const ProgramFile& file, RuntimeAddr base, uint64_t size) {
  if (!sysload_state.has_engine) return;
  if (file.has_native_calls()) return expect_native_file();
  sysload_state.seen = {base, size};
}

// A program with fixed addresses that ld.so was asked to start: it maps that in its place, piece by
// piece, and the place of the trampoline is free if the program's is.
void adopt_executable(const ProgramFile& file) {
  const ElfImage image = ElfImage::read(kPhase, file);
  image.check_segments(kPhase, file);
  if (file.rewritten().is_segment()) return;
  if (file.rewritten().has_sites())
    serve_object(file, image, 0, image.high().value - image.low().value, TrampolinePlace::kFree);
  note_seen(file, {image.low().value}, image.high().value - image.low().value);
  restore_path_for_interpreter(file, image, MappedImage(0));
}

bool may_be_fixed(ByteView bytes) {
  const auto header = load<elf::Ehdr>(bytes, 0);
  return header && header->type == elf::kTypeExec;
}

bool has_own_segment(ByteView bytes) {
  return RewrittenFile::parse(bytes).file.is_segment();
}

// Inside a library whose trampoline is mapped: only there code may be exchanged for a copy's.
bool is_known(RuntimeAddr address) {
  const ObjectTable& table = sysload_state.objects;
  for (uint32_t i = 0; i < table.count; ++i) {
    const MappedObject& object = table.entries[i];
    if (object.size != 0 && address.value - object.base.value < object.size) return true;
  }
  return false;
}

// Where the trampoline of a library belongs that lies at `address`; empty where it has none.
Range place_of_trampoline(const ProgramFile& file, RuntimeAddr address) {
  if (!file.is_rewritten() || !file.rewritten().has_sites() || file.rewritten().is_segment())
    return {};
  const Trailer& trailer = file.rewritten().trailer();
  const uint64_t bias = address.value - ElfImage::read(kPhase, file).low().value;
  return {{trailer.vaddr + bias}, {trailer.vaddr + trailer.size + bias}};
}

// Makes of `room`, which ld.so gives back, the trampoline's place, and gives back the rest. The
// place never becomes free in between. What lies behind the room is taken only if nobody has it.
bool keep_place(const Range& room, const Range& place, int64_t* answer) {
  const RuntimeAddr behind = std::max(place.start, room.end);
  const bool is_held =
      place.start < place.end && place.start >= room.start &&
      (place.end <= behind ||
       !sys::failed(sys::map_anonymous_at(behind, place.end.value - behind.value, sys::kNoAccess)));
  *answer = unmap_outside(room, is_held ? place : Range{});
  return is_held;
}

int64_t adopt_library(const PendingLibrary& library, const Range& room) {
  const auto [address, size, end, fd] = library;
  ProgramFile file;
  if (!ProgramFile::look_at(fd, &file)) return unmap_outside(room, {});
  file.name_by_descriptor();
  file.read_trailer(kPhase);
  const bool own = file.is_rewritten();
  file.use_copy(kPhase);
  note_seen(file, address, size);
  const Range place = place_of_trampoline(file, address);
  int64_t answer = 0;
  const bool is_held = keep_place(room, place, &answer);
  const bool needs_room = place.start < place.end && !sys::failed(answer);
  if (needs_room && is_held) {
    const ElfImage image = ElfImage::read(kPhase, file);
    serve_object(file, image, address.value - image.low().value, size, TrampolinePlace::kHeld);
  } else if (needs_room && own) {
    fail(kPhase, "there is no room for the trampoline of ", file.path(), " at ",
         Hex{place.start.value});
  } else if (needs_room) {
    report_unfollowed(file.path(), "no room for its trampoline behind the place ld.so chose");
  }
  file.release();
  return answer;
}

// ld.so maps the stubs as the last segment, and the slot's page right before them. What was mapped
// there is mapped once more, so that nothing is written that is not known to be the slot.
bool map_own_segments(const ProgramFile& file, RuntimeAddr address, uint64_t size,
                      uint32_t protection, uint64_t flags, uint64_t offset, int64_t* answer) {
  const RewrittenFile& rewritten = file.rewritten();
  const Trailer& trailer = rewritten.trailer();
  if (!rewritten.is_segment() || !rewritten.has_sites() || offset != trailer.offset + kPageSize ||
      size != trailer.size - kPageSize)
    return false;
  const ElfImage image = ElfImage::read(kPhase, file);
  image.check_segments(kPhase, file);
  const MappedImage mapped(address.value - (trailer.vaddr + kPageSize));
  *answer = sys::replace_like(address, size, protection, flags, file.fd(), offset);
  if (sys::failed(*answer)) return true;
  const elf::Phdr& own = rewritten.own_segment();
  const int64_t data = sys::replace_file(mapped.at({own.vaddr}), own.filesz,
                                         sys::kRead | sys::kWrite, file.fd(), {own.offset});
  if (sys::failed(data)) fail_errno(data, kPhase, "cannot map the slot of ", file.path());
  restore_headers(file, image, mapped);
  serve_object(file, image, mapped.bias(), image.high().value - image.low().value,
               TrampolinePlace::kHeld);
  return true;
}

bool has_code_in(const MappedObject& object, RuntimeAddr start, RuntimeAddr end) {
  if (object.size == 0 || start >= object.code_end) return false;
  return end > object.code;
}

}  // namespace

bool map_library(const LibraryRequest& request, int64_t* answer) {
  char name[512];
  ProgramFile file;
  if (!ProgramFile::look_at(request.fd, &file)) {
    if (!is_mapped_library(request.fd, request.size) || !sys::may_be_code(request.fd)) return false;
    if (has_lost_trailer(request.fd))
      fail_without_trailer(sys::name_of(request.fd, name, sizeof(name)));
    if (sysload_state.has_hooks)
      report_unseen_library(sys::name_of(request.fd, name, sizeof(name)));
    return false;
  }
  if (!spans_segments(file.bytes(), request.size)) {
    file.release();
    return false;
  }
  file.name_by_descriptor();
  file.read_trailer(kPhase);
  if (!file.is_rewritten() && free_entry() == nullptr) {
    report_unfollowed(file.path(), "1024 libraries have a trampoline already");
    file.release();
    return false;
  }
  file.use_copy(kPhase);
  const bool served = file.is_rewritten();
  if (!served && sysload_state.has_engine && !file.has_native_calls()) {
    // Only to know where its code is going to be.
    *answer = map_as_asked(request);
    if (!sys::failed(*answer)) note_seen(file, {static_cast<uint64_t>(*answer)}, request.size);
    file.release();
    return true;
  }
  if (served) {
    const ElfImage image = ElfImage::read(kPhase, file);
    image.check_segments(kPhase, file);
    const bool brings_room = file.rewritten().is_segment() || !file.rewritten().has_sites();
    *answer = brings_room ? map_as_asked(request) : map_with_trampoline(request, file, image);
    const auto bias = static_cast<uint64_t>(*answer) - image.low().value;
    if (!sys::failed(*answer)) {
      note_seen(file, {static_cast<uint64_t>(*answer)}, request.size);
      restore_path_for_interpreter(file, image, MappedImage(bias));
    }
  }
  file.release();
  return served;
}

int64_t reserve_more(uint64_t size) {
  constexpr uint64_t kExtra = 1 << 20;  // a trampoline of some 18,000 sites
  const uint64_t own = align_up(size, kPageSize);
  const int64_t start = sys::map_anonymous(0, own + kExtra, sys::kNoAccess);
  if (!sys::failed(start)) sysload_state.widened = {{static_cast<uint64_t>(start) + own}, kExtra};
  return start;
}

void await_room(RuntimeAddr address, uint64_t size, sys::Fd fd) {
  ProgramFile file;
  if (is_known(address) || !ProgramFile::look_at(fd, &file)) return;
  file.release();
  const uint64_t end = align_up(address.value + size, kPageSize);
  sysload_state.pending = {address, size, {end}, fd};
  watch(address.value, end);
}

bool room_was_made(RuntimeAddr start, uint64_t size, int64_t* answer) {
  const PendingLibrary library = sysload_state.pending;
  if (library.size == 0 || start != library.end) return false;
  sysload_state.pending = {};
  if (size == 0 || !checked_add(start.value, size)) return false;  // the kernel refuses it
  // What ld.so gives back reaches to its reservation's end, and ours goes on behind that.
  const WidenedReservation& widened = sysload_state.widened;
  const uint64_t pages = align_up(size, kPageSize);
  const uint64_t extra = start + pages == widened.end ? widened.extra : 0;
  sysload_state.widened = {};
  *answer = adopt_library(library, {start, start + pages + extra});
  return true;
}

bool map_code(const CodeRequest& request, int64_t* answer) {
  const auto& [address, size, protection, flags, fd, offset, by_interpreter] = request;
  ProgramFile file;
  if (code_was_prepared(address, size, protection, flags, fd, offset)) {
    *answer = static_cast<int64_t>(address.value);
    return true;
  }
  const bool known = is_known(address);
  const bool may_be_copied = sysload_state.server_name[0] != 0;
  if ((known && !may_be_copied) || !ProgramFile::look_at(fd, &file)) return false;
  // Whoever else maps a program runs it otherwise than the processor does, and knows of no
  // trampoline.
  const bool is_started = by_interpreter && may_be_fixed(file.bytes());
  if (!known && !is_started && !has_own_segment(file.bytes())) {
    file.release();
    return false;
  }
  file.name_by_descriptor();
  file.read_trailer(kPhase);
  file.use_copy(kPhase);
  if (file.is_rewritten() &&
      map_own_segments(file, address, size, protection, flags, offset, answer)) {
    file.release();
    return true;
  }
  if (!known && file.is_rewritten()) adopt_executable(file);
  const bool served = file.has_copy() && file.rewritten().has_sites();
  if (served) *answer = file.replace_code(address, size, protection, flags, offset);
  file.release();
  return served;
}

bool is_rewritten_code(RuntimeAddr address) {
  const SeenLibrary& seen = sysload_state.seen;
  return is_known(address) || address.value - seen.base.value < seen.size;
}

bool holds_library_code(RuntimeAddr start, uint64_t size) {
  const auto end = checked_add(start.value, size);
  if (!end) return false;  // the kernel refuses it
  const ObjectTable& table = sysload_state.objects;
  for (uint32_t i = 0; i < table.count; ++i) {
    const MappedObject& object = table.entries[i];
    if (has_code_in(object, start, {*end})) return true;
  }
  return false;
}

void forget_libraries(RuntimeAddr start, uint64_t size) {
  const RuntimeAddr end{align_up(start.value + size, kPageSize)};
  ObjectTable& table = sysload_state.objects;
  for (uint32_t i = 0; i < table.count; ++i) {
    MappedObject& object = table.entries[i];
    if (!has_code_in(object, start, end)) continue;
    // A hole is not noted: what lies on both of its sides jumps into one trampoline.
    if (start <= object.code) object.code = std::min(end, object.code_end);
    if (end >= object.code_end) object.code_end = std::max(start, object.code);
    if (object.code < object.code_end) continue;
    drop_site_table(object.trampoline);
    // Which is free, and perhaps another thread's by now.
    const Range given_back{start, end};
    unmap_outside({object.trampoline, object.trampoline + object.trampoline_size}, given_back);
    object.size = 0;
  }
}

}  // namespace sysrewrite
