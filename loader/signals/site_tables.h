// The sites of every mapped file, by which an address in a window or a stub is understood while the
// program runs.
#ifndef SYSREWRITE_LOADER_SIGNALS_SITE_TABLES_H_
#define SYSREWRITE_LOADER_SIGNALS_SITE_TABLES_H_

#include <cstddef>
#include <cstdint>

#include "trampoline/address.h"
#include "trampoline/layout.h"

namespace sysrewrite {

class MappedImage;
class ProgramFile;

inline constexpr uint32_t kMostObjects = 1024;
// Most programs have no more files with sites: the program, ld.so, libc and a few libraries.
inline constexpr uint32_t kFirstTables = 8;

// The sites of one mapped file; count 0: the entry is free.
struct SiteTable {
  RuntimeAddr base;          // where base_vaddr of the metadata lies
  RuntimeAddr trampoline;    // where the trampoline lies
  uint64_t trampoline_size;  // bytes
  uint64_t bias;             // of the file's addresses
  const SiteRecord* sites;   // ascending by address, in a read-only mapping
  const std::byte* blob;     // likewise: what SiteRecord::blob is an offset in
  uint32_t blob_size;        // bytes
  uint32_t first, end;       // no window and no springboard lies outside; from base
  uint32_t count;
};

// The program, its interpreter, and the libraries. Read by handlers while another thread adds one:
// an entry is whole before its count says that it is there.
struct SiteTables {
  SiteTable first[kFirstTables];
  SiteTable* mapped;  // for more than those: all of them, the first too; nullptr: not yet
  uint32_t count;

  SiteTable* all() {
    SiteTable* const tables = __atomic_load_n(&mapped, __ATOMIC_ACQUIRE);
    return tables == nullptr ? &first[0] : tables;
  }
  uint32_t capacity() const { return mapped == nullptr ? kFirstTables : kMostObjects + 2; }
};

// One site, and the file that it is of; nullptr twice: none.
struct FoundSite {
  const SiteTable* table = nullptr;
  const SiteRecord* site = nullptr;
};

// Keeps the sites of a mapped file. Under the serving lock, or before the program starts.
void add_site_table(const ProgramFile& file, const MappedImage& image);

// Drops those of the file whose trampoline lies there.
void drop_site_table(RuntimeAddr trampoline);

// The site in whose stub the address lies.
FoundSite site_of_stub(RuntimeAddr address);

// The site in whose window the address lies, the window's first byte included.
FoundSite site_of_window(RuntimeAddr address);

// The site whose springboard begins there.
FoundSite site_of_springboard(RuntimeAddr address);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_SITE_TABLES_H_
