// One entry of a tree, copied by one thread.
#ifndef SYSREWRITE_CLI_BATCH_ENTRY_COPY_H_
#define SYSREWRITE_CLI_BATCH_ENTRY_COPY_H_

#include "cli/batch/directory_cache.h"
#include "cli/batch/tree_copy.h"

namespace sysrewrite {

// For one thread.
class EntryCopier {
 public:
  explicit EntryCopier(const CopyJob& job);

  // Anything but a directory. Adds to `result` what there is to tell.
  std::optional<Error> copy(uint32_t entry, CopyResult& result);
  std::optional<Error> make_folder(uint32_t entry);
  std::optional<Error> make_link(uint32_t entry, uint32_t of);
  std::optional<Error> finish_folder(uint32_t entry, CopyResult& result);

 private:
  std::optional<Error> copy_regular(uint32_t entry, CopyResult& result);
  std::optional<Error> write_regular(uint32_t entry, const InputFile& input, const FileFate* fate,
                                     Lost& lost);
  std::optional<Error> copy_link(uint32_t entry, Lost& lost);
  std::optional<Error> make_special(uint32_t entry, Lost& lost);
  std::optional<Error> copy_name_metadata(uint32_t entry, Lost& lost);

  const Entry& at(uint32_t entry) const { return job_.manifest.entries[entry]; }
  const char* name(uint32_t entry) const { return at(entry).name.c_str(); }
  std::string path(uint32_t entry) const;
  Error problem(const char* what, uint32_t entry) const;

  const CopyJob& job_;
  DirectoryCache from_, to_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_ENTRY_COPY_H_
