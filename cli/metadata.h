// Owner, mode, times and extended attributes, from one file to another.
#ifndef SYSREWRITE_CLI_METADATA_H_
#define SYSREWRITE_CLI_METADATA_H_

#include <sys/stat.h>

#include <string>

namespace sysrewrite {

// What a copy could not be given, for want of privilege or because it could not be read.
struct Lost {
  bool owner = false;
  bool set_id = false;      // the setuid or setgid bit, which is none of another owner's file
  bool attributes = false;  // of those that could not even be listed there may be none
  bool capabilities = false;
};

// Whether the copy holds other bytes than its source: security.ima and security.evm vouch for those
// and are then left out.
enum class Bytes { kSame, kChanged };

// The extended attributes of `from` that can be read, and that `to` can hold. What it cannot
// (another file system, no privilege) is left out, as cp -p does, and `lost` tells.
void copy_attributes(int from, int to, Bytes bytes, Lost& lost);

// The same for what cannot be opened: names in directories, without following a link.
void copy_attributes_at(int from_folder, const std::string& from, int to_folder,
                        const std::string& to, Lost& lost);

// The mode for a copy that the system has or has not given to the same owner. A setuid or setgid
// bit for another owner would be another program's privilege: it is dropped.
mode_t mode_for_copy(const struct stat& status, bool owner_kept, Lost& lost);

// These return false, with errno, where the system refuses what may not be left out.

// Owner where allowed, extended attributes, and mode last, since changing the owner clears setuid.
bool copy_ownership(int from, const struct stat& status, int to, Bytes bytes, Lost& lost);

bool copy_times(const struct stat& status, int to);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_METADATA_H_
