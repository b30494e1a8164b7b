#include "cli/answer_board.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>

namespace sysrewrite {

namespace {

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010  // Linux 5.1
#endif

// Last of all `is_known`, by which a reader knows that the rest is there.
void fill(OpenFile& file, int descriptor) {
  struct stat status {};
  if (descriptor < 0 || fstat(descriptor, &status) != 0) return;
  file.descriptor = descriptor;
  file.device = status.st_dev;
  file.inode = status.st_ino;
  file.size = static_cast<uint64_t>(status.st_size);
  __atomic_store_n(&file.is_known, 1, __ATOMIC_RELEASE);
}

}  // namespace

AnswerBoard::AnswerBoard() {
  Descriptor memory(memfd_create("answers-of-sysrewrite", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid() || ftruncate(memory.get(), sizeof(AnswerTable)) != 0) return;
  void* at =
      mmap(nullptr, sizeof(AnswerTable), PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (at == MAP_FAILED) return;
  if (fcntl(memory.get(), F_ADD_SEALS,
            F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE) != 0) {
    munmap(at, sizeof(AnswerTable));
    return;
  }
  memory_ = std::move(memory);
  table_ = static_cast<AnswerTable*>(at);
}

AnswerBoard::~AnswerBoard() {
  if (table_ != nullptr) munmap(table_, sizeof(AnswerTable));
}

std::string AnswerBoard::name_suffix() const {
  return table_ == nullptr ? "" : fmt::format(".{}.{}", getpid(), memory_.get());
}

void AnswerBoard::set_server(const std::string& name, int loader, int ring) {
  if (table_ == nullptr || name.size() >= sizeof(table_->server)) return;
  std::ranges::copy(kAnswerMagic, table_->magic);
  std::ranges::copy(name, table_->server);
  fill(table_->loader, loader);
  fill(table_->ring, ring);
}

bool AnswerBoard::has_room() const {
  if (table_ == nullptr) return false;
  const std::lock_guard lock(mutex_);
  return table_->count < kMostAnswers;
}

void AnswerBoard::publish(const FileIdentity& file, const ServerReply& reply, int copy) {
  if (table_ == nullptr) return;
  const std::lock_guard lock(mutex_);
  const uint32_t at = table_->count;
  if (at == kMostAnswers) return;
  KnownAnswer& answer = table_->answers[at];
  answer.file = {file.device,      file.inode,     file.size,      file.modified_s,
                 file.modified_ns, file.changed_s, file.changed_ns};
  answer.reply = reply;
  fill(answer.copy, copy);
  table_->keys[at] = answer.file.key();
  __atomic_store_n(&table_->count, at + 1, __ATOMIC_RELEASE);
}

void AnswerBoard::publish_share(uint32_t hook, int descriptor) {
  if (table_ == nullptr || hook >= kMostShares) return;
  const std::lock_guard lock(mutex_);
  if (table_->shares[hook].is_known == 0) fill(table_->shares[hook], descriptor);
}

}  // namespace sysrewrite
