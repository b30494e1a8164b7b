#include "loader/hooks/sysroot_walk.h"

#include <asm/statfs.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/magic.h>

#include <cstring>

#include "loader/hooks/address.h"

namespace sysrewrite {

namespace {

int64_t read_link(const sysload_api& api, const char* name, char* into, uint32_t size) {
  return api.syscall(__NR_readlink, word(name), word(into), size, 0, 0, 0);
}

bool is_missing(int64_t error) {
  return error == -ENOENT;
}

class Walk {
 public:
  Walk(const sysload_api& api, const Sysroot& root, const SysrootName& name, AbsolutePath& path)
      : api_(api), root_(root), name_(name), path_(path), changed_(name.is_inside) {
    path_.begin(root_.name, root_.size);
  }

  WalkEnd go() {
    if (!rest_.prepend(name_.text, name_.size)) return WalkEnd::kTooLong;
    for (;;) {
      const char* component = nullptr;
      const uint32_t length = rest_.next(&component);
      if (length == 0) return in_sysroot();
      if (length == 1 && component[0] == '.') {
        ends_in_dot_ = !rest_.more();
      } else if (is_parent(component, length)) {
        // The kernel does not go there: it refuses such an entry, of the sysroot's top, too.
        if (name_.end == NameEnd::kEntry && !rest_.more()) return in_sysroot("/..");
        // It has none. The kernel will say so, or that it may not be searched.
        if (!up()) return in_sysroot("/.");
      } else if (WalkEnd end; step(component, length, &end)) {
        return end;
      }
    }
  }

 private:
  // False where what has been gone is no directory, and so has no parent.
  bool up() {
    changed_ = true;
    if (path_.size == root_.size) return true;
    if (!is_directory()) return false;
    path_.remove_last();
    return true;
  }

  // One that may be searched. A readlink of its "." is EINVAL then; that of a file's is ENOTDIR,
  // where that of the file itself would be EINVAL, too.
  bool is_directory() {
    constexpr char kDot[] = "/.";
    memcpy(path_.text + path_.size, kDot, sizeof(kDot));
    const int64_t got = read_link(api_, path_.text, link_, sizeof(link_));
    path_.text[path_.size] = 0;
    return got == -EINVAL;
  }

  // True where the walk has ended.
  bool step(const char* component, uint32_t length, WalkEnd* end) {
    if (!path_.add(component, length)) return *end = WalkEnd::kTooLong, true;
    const bool last = !rest_.more();
    const int64_t got = read_link(api_, path_.text, link_, sizeof(link_));
    if (is_missing(got)) return *end = last ? last_is_missing() : middle_is_missing(), true;
    if (got > 0 && lies_in_procfs()) return *end = in_procfs(static_cast<uint32_t>(got)), true;
    if (got > 0 && (!last || follows_last())) return follow(static_cast<uint32_t>(got), end);
    if (last) return *end = in_sysroot(), true;
    if (got == -EINVAL) return false;
    // No directory, or not to be searched. The kernel will say so, whatever stands behind.
    return *end = in_sysroot(), true;
  }

  // linux, fs/namei.c: a slash behind a link has it followed where a file is looked up
  // (lookup_last), and not where an entry is (filename_parentat), nor by O_CREAT, which is EISDIR
  // then.
  bool follows_last() const {
    if (name_.end == NameEnd::kEntry) return false;
    if (has_slash_behind()) return name_.purpose == Purpose::kExisting;
    return name_.end == NameEnd::kFollowed;
  }

  bool follow(uint32_t size, WalkEnd* end) {
    if (name_.refuses_links || ++links_ > kMostLinks) return *end = WalkEnd::kLinks, true;
    changed_ = true;
    if (!rest_.prepend(link_, size)) return *end = WalkEnd::kTooLong, true;
    if (link_[0] == '/') {
      path_.begin(root_.name, root_.size);
    } else {
      path_.remove_last();
    }
    return false;
  }

  // A link that has been arrived at. Asked of its directory, since statfs follows links.
  bool lies_in_procfs() {
    const uint32_t end = end_of_parent();
    path_.text[end] = 0;
    struct statfs found {};
    const int64_t got = api_.syscall(__NR_statfs, word(path_.text), word(&found), 0, 0, 0, 0);
    path_.text[end] = '/';
    return got == 0 && found.f_type == PROC_SUPER_MAGIC;
  }

  uint32_t end_of_parent() const {
    uint32_t end = path_.size - 1;
    while (path_.text[end] != '/') --end;
    return end;
  }

  // The texts of its links are no paths: "pipe:[1]", and what the kernel calls a file on the host.
  // So the kernel goes on alone: from the host's link where that is the same one, since
  // /proc/self/exe is answered by this name (loader/serve/own_exe.h), and otherwise, be it mounted
  // at another place or the procfs of another PID namespace, from the one that is in the sysroot.
  WalkEnd in_procfs(uint32_t size) {
    char host[kNameBytes];
    const int64_t got = read_link(api_, path_.text + root_.size, host, sizeof(host));
    if (got == static_cast<int64_t>(size) && memcmp(host, link_, size) == 0) return on_host();
    return add_rest() ? WalkEnd::kSysroot : WalkEnd::kTooLong;
  }

  bool has_slash_behind() const { return rest_.size() != 0; }

  // With what stood at the end of the name, by which the kernel refuses some calls. The sysroot
  // itself is "/" to the program, and nothing that it could remove.
  WalkEnd in_sysroot() {
    if (ends_in_dot_ || path_.size == root_.size) return in_sysroot("/.");
    return in_sysroot(has_slash_behind() ? "/" : "");
  }
  WalkEnd in_sysroot(const char* behind) {
    const auto size = static_cast<uint32_t>(strlen(behind));
    if (path_.size + size >= kNameBytes) return WalkEnd::kTooLong;
    memcpy(path_.text + path_.size, behind, size + 1);
    path_.size += size;
    return WalkEnd::kSysroot;
  }

  // What has been gone, seen from the host, and what is left.
  WalkEnd on_host() {
    if (!changed_) return WalkEnd::kUnchanged;
    path_.size -= root_.size;
    memmove(path_.text, path_.text + root_.size, path_.size + 1);
    return add_rest() ? WalkEnd::kHost : WalkEnd::kTooLong;
  }

  // As it stands: "." and ".." are the kernel's from here on.
  bool add_rest() {
    if (path_.size + rest_.size() >= kNameBytes) return false;
    memcpy(path_.text + path_.size, rest_.text(), rest_.size());
    path_.size += rest_.size();
    path_.text[path_.size] = 0;
    return true;
  }

  // What the host answers for the name of what is missing in the sysroot: 0 where it has it.
  int64_t ask_host() {
    const int64_t got = read_link(api_, path_.text + root_.size, link_, sizeof(link_));
    return got >= 0 || got == -EINVAL ? 0 : got;
  }

  // The host has the directory that the sysroot has as a file, or will not have it searched: then
  // nothing of this name is to be had there, and the sysroot's directory counts.
  static bool has_other(int64_t error) {
    return error == -ENOTDIR || error == -EACCES || error == -ELOOP || error == -ENAMETOOLONG;
  }

  WalkEnd last_is_missing() {
    if (name_.purpose == Purpose::kNewName) return in_sysroot();
    const int64_t error = ask_host();
    if (has_other(error)) return in_sysroot();
    return is_missing(error) && name_.purpose == Purpose::kCreating ? in_sysroot() : on_host();
  }

  WalkEnd middle_is_missing() {
    // "/" is a directory that everybody may search.
    if (end_of_parent() == root_.size || !has_other(ask_host())) return on_host();
    return add_rest() ? WalkEnd::kSysroot : WalkEnd::kTooLong;
  }

  const sysload_api& api_;
  const Sysroot& root_;
  const SysrootName& name_;
  AbsolutePath& path_;
  bool changed_;  // what has been gone is not how it was given
  RemainingPath rest_;
  int links_ = 0;
  bool ends_in_dot_ = false;
  char link_[kNameBytes];
};

}  // namespace

const char* Sysroot::inside(const char* path, uint32_t path_size, uint32_t* size_inside) const {
  if (path_size < size || memcmp(path, name, size) != 0) return nullptr;
  if (path_size == size) {
    *size_inside = 1;
    return "/";
  }
  if (path[size] != '/') return nullptr;
  *size_inside = path_size - size;
  return path + size;
}

WalkEnd walk_sysroot(const sysload_api& api, const Sysroot& root, const SysrootName& name,
                     AbsolutePath& path) {
  return Walk(api, root, name, path).go();
}

}  // namespace sysrewrite
