// Folders and files that belong to this user alone.
#ifndef SYSREWRITE_CLI_CACHE_PRIVATE_FOLDER_H_
#define SYSREWRITE_CLI_CACHE_PRIVATE_FOLDER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/descriptor.h"
#include "rewriter/result.h"
#include "trampoline/bytes.h"

namespace sysrewrite {

// $VARIABLE/sysrewrite, or $HOME/<fallback>/sysrewrite: XDG Base Directory Specification 0.8, by
// which a relative path counts as unset.
Result<std::string> user_folder(const char* variable, const char* fallback);

// Opens a folder, made with all its parents (0700) where it is missing. Fails where it is a link,
// no folder, somebody else's, or open to others.
Result<Descriptor> open_private_folder(const std::string& path);
Result<Descriptor> open_private_folder(const Descriptor& parent, const std::string& name,
                                       const std::string& path_for_people);

class PrivateBytes {
 public:
  explicit PrivateBytes(size_t size)
      : bytes_(std::make_unique_for_overwrite<std::byte[]>(size)), size_(size) {}
  std::byte* data() { return bytes_.get(); }
  size_t size() const { return size_; }
  ByteView view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  size_t size_;
};

// The whole of a regular file of ours of at most `most` bytes; nothing for whatever else stands
// there. Never waits, follows no link.
std::optional<PrivateBytes> read_private_file(const Descriptor& folder, const std::string& name,
                                              uint64_t most);

enum class Existing { kReplace, kKeep };

// Writes a file so that nobody sees half of it; 0, or errno. kKeep: EEXIST where one is there.
int write_private_file(const Descriptor& folder, const std::string& name, ByteView bytes,
                       Existing existing);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_CACHE_PRIVATE_FOLDER_H_
