#include "loader/signals/site_tables.h"

#include <asm/unistd.h>
#include <linux/errno.h>

#include <algorithm>
#include <iterator>

#include "loader/memory.h"
#include "loader/report.h"
#include "loader/start/image_map.h"
#include "loader/start/program_file.h"
#include "loader/state.h"
#include "loader/syscalls.h"

namespace sysrewrite {

namespace {

constexpr const char* kPhase = "sites";

// The memory begins in the page of the first site and ends with the blob, which stands behind the
// sites (trampoline/layout.h).
struct Mapping {
  uint64_t start, size;
};

Mapping mapping_of(const SiteTable& table) {
  const uint64_t sites = Memory::address_of(table.sites).value;
  const uint64_t start = align_down(sites, kPageSize);
  const uint64_t end = Memory::address_of(table.blob).value + table.blob_size;
  return {start, end - start};
}

// A handler of another thread finds the first tables in either place.
void make_room(SiteTables& tables) {
  constexpr uint64_t kSize = (kMostObjects + 2) * sizeof(SiteTable);
  const int64_t memory = sys::map_anonymous(0, kSize, sys::kRead | sys::kWrite);
  if (sys::failed(memory)) fail_errno(memory, kPhase, "no memory for the tables of libraries");
  auto* const mapped = Memory::at<SiteTable>({static_cast<uint64_t>(memory)});
  std::copy(std::begin(tables.first), std::end(tables.first), mapped);
  __atomic_store_n(&tables.mapped, mapped, __ATOMIC_RELEASE);
}

// A dropped library's entry is used again. Handlers of other threads may read the table meanwhile,
// so the count of sites, which makes an entry valid, is written last.
void keep(SiteTable table) {
  const uint32_t site_count = table.count;
  table.count = 0;
  SiteTables& tables = sysload_state.site_tables;
  uint32_t free = 0;
  while (free < tables.count && tables.all()[free].count != 0) ++free;
  if (free == kFirstTables && tables.mapped == nullptr) make_room(tables);
  if (free == tables.capacity()) fail(kPhase, "too many files are mapped");
  SiteTable& entry = tables.all()[free];
  entry = table;
  __atomic_store_n(&entry.count, site_count, __ATOMIC_RELEASE);
  if (free == tables.count) __atomic_store_n(&tables.count, free + 1, __ATOMIC_RELEASE);
}

// The first of the tables, from `index` on, that is in use; nullptr: no other.
const SiteTable* next_table(uint32_t& index) {
  SiteTables& tables = sysload_state.site_tables;
  const uint32_t count = __atomic_load_n(&tables.count, __ATOMIC_ACQUIRE);
  while (index < count) {
    const SiteTable& table = tables.all()[index++];
    if (__atomic_load_n(&table.count, __ATOMIC_ACQUIRE) != 0) return &table;
  }
  return nullptr;
}

// A table is looked into only where the address is its file's, since another thread may be about to
// drop it: nobody unmaps code that somebody is in.
bool is_near(const SiteTable& table, RuntimeAddr address) {
  return address.value - table.base.value - table.first < table.end - table.first;
}

// Windows do not overlap, so they ascend as their sites do. A site that was left native has none.
const SiteRecord* window_around(const SiteTable& table, uint64_t offset) {
  uint32_t low = 0, high = table.count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    const SiteRecord& site = table.sites[middle];
    const uint64_t start = uint64_t{site.site} - site.before;
    if (offset - start < site.window) return &site;
    if (offset < start) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return nullptr;
}

// Of a copy in memory, which costs less than to read it: it cannot change, and nobody looks for an
// object in what is named after it.
RuntimeAddr map_sites(const ProgramFile& file, FileOffset start, uint64_t size) {
  const FileOffset page = {align_down(start.value, kPageSize)};
  const uint64_t in_page = start.value - page.value;
  const int64_t answer = sys::map_file(in_page + size, sys::kRead, file.code_fd(), page);
  if (sys::failed(answer)) fail_errno(answer, kPhase, "cannot map the sites of ", file.path());
  return {static_cast<uint64_t>(answer) + in_page};
}

// Of a file, which somebody may truncate. perf, too, takes the lowest mapping of a file for the
// start of its object, and one of the sites could lie below.
RuntimeAddr read_sites(const ProgramFile& file, FileOffset start, uint64_t size) {
  const int64_t memory = sys::map_anonymous(0, size, sys::kRead | sys::kWrite);
  if (sys::failed(memory)) fail_errno(memory, kPhase, "no memory for the sites of ", file.path());
  const RuntimeAddr place{static_cast<uint64_t>(memory)};
  const int64_t got = sys::call(__NR_pread64, static_cast<uint64_t>(file.code_fd()), place.value,
                                size, start.value);
  if (got != static_cast<int64_t>(size))
    fail_errno(sys::failed(got) ? got : -EIO, kPhase, "cannot read the sites of ", file.path());
  sys::protect(place, size, sys::kRead);
  return place;
}

}  // namespace

void add_site_table(const ProgramFile& file, const MappedImage& image) {
  const RewrittenFile& rewritten = file.rewritten();
  const MetaRange& sites = rewritten.meta().sites;
  const MetaRange& blob = rewritten.meta().blob;
  const uint64_t end = uint64_t{blob.offset} + blob.count;
  const FileOffset start = rewritten.meta_offset() + sites.offset;
  if (end < sites.offset + uint64_t{sites.count} * sizeof(SiteRecord))
    fail(kPhase, file.path(), ": the trailer is damaged: original bytes stand before the sites");
  const uint64_t size = end - sites.offset;
  const RuntimeAddr place =
      file.has_copy() ? map_sites(file, start, size) : read_sites(file, start, size);
  const Trailer& trailer = rewritten.trailer();
  const auto* const records = Memory::at<const SiteRecord>(place);
  // Both lie within reach of a short jump.
  constexpr uint32_t kReach = 256;
  const uint32_t first = records[0].site, last = records[sites.count - 1].site;
  keep({image.at({rewritten.meta().base_vaddr}), image.at({trailer.vaddr}), trailer.size,
        image.bias(), records, Memory::at<const std::byte>(place + (blob.offset - sites.offset)),
        blob.count, first - std::min(first, kReach), last + std::min(kReach, UINT32_MAX - last),
        sites.count});
}

void drop_site_table(RuntimeAddr trampoline) {
  SiteTables& tables = sysload_state.site_tables;
  for (uint32_t i = 0; i < tables.count; ++i) {
    SiteTable& table = tables.all()[i];
    if (table.count == 0 || table.trampoline != trampoline) continue;
    const Mapping mapping = mapping_of(table);
    __atomic_store_n(&table.count, 0, __ATOMIC_RELEASE);
    sys::unmap({mapping.start}, mapping.size);
  }
}

FoundSite site_of_stub(RuntimeAddr address) {
  uint32_t index = 0;
  while (const SiteTable* const table = next_table(index)) {
    const uint64_t offset = address.value - table->trampoline.value;
    if (offset >= table->trampoline_size) continue;
    for (uint32_t i = 0; i < table->count; ++i) {
      const SiteRecord& site = table->sites[i];
      if (site.window != 0 && offset - site.stub < site.stub_size) return {table, &site};
    }
  }
  return {};
}

FoundSite site_of_window(RuntimeAddr address) {
  uint32_t index = 0;
  while (const SiteTable* const table = next_table(index)) {
    if (!is_near(*table, address)) continue;
    const SiteRecord* const site = window_around(*table, address.value - table->base.value);
    if (site != nullptr) return {table, site};
  }
  return {};
}

FoundSite site_of_springboard(RuntimeAddr address) {
  uint32_t index = 0;
  while (const SiteTable* const table = next_table(index)) {
    if (!is_near(*table, address)) continue;
    const uint64_t offset = address.value - table->base.value;
    for (uint32_t i = 0; i < table->count; ++i) {
      const SiteRecord& site = table->sites[i];
      if (site.springboard != kNoSpringboard && site.springboard == offset) return {table, &site};
    }
  }
  return {};
}

}  // namespace sysrewrite
