#include "loader/serve/answers.h"

#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>

#include <cstring>

#include "loader/memory.h"
#include "loader/state.h"
#include "trampoline/decimal.h"

// Whom to believe. The name of the server is known to this tree alone, until somebody looks at the
// arguments of a process that is being started; so what is opened must also belong to this user,
// whose processes could do anything to this one as it is. That the server has ended, and its number
// is another's, shows in the identity of each file.

namespace sysrewrite {

namespace {

struct Place {
  uint64_t pid, descriptor;
};

bool take_number(const char*& text, uint64_t* value) {
  const char* const first = text;
  for (*value = 0; *text >= '0' && *text <= '9' && *value < UINT32_MAX; ++text)
    *value = *value * 10 + static_cast<uint64_t>(*text - '0');
  return text != first;
}

// Of the table, by the server's name.
bool find_place(const char* name, Place* place) {
  while (*name != 0 && *name != '.') ++name;
  return *name++ == '.' && take_number(name, &place->pid) && *name++ == '.' &&
         take_number(name, &place->descriptor) && *name == 0;
}

char* add_text(char* at, const char* text) {
  while (*text != 0) *at++ = *text++;
  return at;
}

char* add_number(char* at, uint64_t value) {
  for (const char digit : Decimal(value)) *at++ = digit;
  return at;
}

sys::Fd open_at(const Place& place, uint64_t flags) {
  char path[64];
  char* end = add_number(add_text(&path[0], "/proc/"), place.pid);
  end = add_number(add_text(end, "/fd/"), place.descriptor);
  *end = 0;
  return sys::call(__NR_openat, static_cast<uint64_t>(AT_FDCWD), Memory::address_of(&path[0]).value,
                   flags | O_CLOEXEC | O_NOCTTY);
}

bool look(sys::Fd fd, struct stat* status) {
  return !sys::failed(
      sys::call(__NR_fstat, static_cast<uint64_t>(fd), Memory::address_of(status).value));
}

bool is_own(const struct stat& status) {
  return status.st_uid == static_cast<uint64_t>(sys::call(__NR_geteuid));
}

bool is_of_server(const AnswerTable& table) {
  return memcmp(table.magic, kAnswerMagic, sizeof(kAnswerMagic)) == 0 &&
         memcmp(table.server, sysload_state.server_name, sizeof(table.server)) == 0;
}

sys::Fd open_same(const OpenFile& file, uint64_t flags, bool must_be_own) {
  Place place{};
  if (__atomic_load_n(&file.is_known, __ATOMIC_ACQUIRE) == 0 ||
      !find_place(sysload_state.server_name, &place))
    return -1;
  place.descriptor = static_cast<uint64_t>(file.descriptor);
  const sys::Fd fd = open_at(place, flags);
  if (sys::failed(fd)) return fd;
  struct stat status {};
  if (look(fd, &status) && status.st_dev == file.device && status.st_ino == file.inode &&
      (!must_be_own || is_own(status)))
    return fd;
  sys::close(fd);
  return -1;
}

}  // namespace

void open_answers() {
  Place place{};
  if (!find_place(sysload_state.server_name, &place)) return;
  const sys::Fd fd = open_at(place, O_RDONLY);
  if (sys::failed(fd)) return;
  struct stat status {};
  if (look(fd, &status) && status.st_size == sizeof(AnswerTable) && is_own(status)) {
    const int64_t at = sys::map_shared(sizeof(AnswerTable), sys::kRead, fd);
    if (!sys::failed(at)) {
      const RuntimeAddr address = {static_cast<uint64_t>(at)};
      const auto* table = Memory::at<const AnswerTable>(address);
      if (is_of_server(*table)) {
        sysload_state.answers = table;
      } else {
        sys::unmap(address, sizeof(AnswerTable));
      }
    }
  }
  sys::close(fd);
}

uint32_t pid_of_server() {
  Place place{};
  return find_place(sysload_state.server_name, &place) ? static_cast<uint32_t>(place.pid) : 0;
}

const KnownAnswer* known_answer(sys::Fd file) {
  const AnswerTable* const table = sysload_state.answers;
  sys::FileIdentity identity{};
  if (table == nullptr || sys::failed(sys::identify(file, &identity))) return nullptr;
  const KnownFile known{identity.device,     identity.inode,       identity.size,
                        identity.modified_s, identity.modified_ns, identity.changed_s,
                        identity.changed_ns};
  const uint64_t key = known.key();
  const uint32_t count = __atomic_load_n(&table->count, __ATOMIC_ACQUIRE);
  for (uint32_t i = 0; i < count && i < kMostAnswers; ++i)
    if (table->keys[i] == key && table->answers[i].file == known) return &table->answers[i];
  return nullptr;
}

sys::Fd open_known(const OpenFile& file) {
  return open_same(file, O_RDONLY, true);
}

// Whose the file of sysload is does not matter: it is the one that the table names.
sys::Fd known_loader() {
  const AnswerTable* const table = sysload_state.answers;
  return table == nullptr ? -1 : open_same(table->loader, O_RDONLY, false);
}

sys::Fd known_ring() {
  const AnswerTable* const table = sysload_state.answers;
  return table == nullptr ? -1 : open_same(table->ring, O_RDWR, true);
}

sys::Fd known_share(uint32_t hook, uint64_t size) {
  const AnswerTable* const table = sysload_state.answers;
  if (table == nullptr || hook >= kMostShares) return -1;
  const OpenFile& share = table->shares[hook];
  if (__atomic_load_n(&share.is_known, __ATOMIC_ACQUIRE) == 0 || size > share.size) return -1;
  return open_same(share, O_RDWR, true);
}

}  // namespace sysrewrite
