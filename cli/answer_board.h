// What the server has answered, where the programs of the tree can read it without asking
// (trampoline/answer_table.h).
#ifndef SYSREWRITE_CLI_ANSWER_BOARD_H_
#define SYSREWRITE_CLI_ANSWER_BOARD_H_

#include <mutex>
#include <string>

#include "cli/cache/entry.h"
#include "cli/descriptor.h"
#include "trampoline/answer_table.h"

namespace sysrewrite {

// Thread-safe. Descriptors stay the caller's, and must stay open as long as this process answers.
class AnswerBoard {
 public:
  // Where the system has no memory that one process writes and all others can but read (Linux
  // before 5.1), nothing is published, and everybody asks.
  AnswerBoard();
  AnswerBoard(const AnswerBoard&) = delete;
  AnswerBoard& operator=(const AnswerBoard&) = delete;
  AnswerBoard(AnswerBoard&&) = delete;
  AnswerBoard& operator=(AnswerBoard&&) = delete;
  ~AnswerBoard();

  // What the server's name has to end in, so that programs find the table.
  std::string name_suffix() const;
  // Once, before the first program.
  void set_server(const std::string& name, int loader, int ring);

  bool has_room() const;
  void publish(const FileIdentity& file, const ServerReply& reply, int copy);
  void publish_share(uint32_t hook, int descriptor);

 private:
  Descriptor memory_;
  AnswerTable* table_ = nullptr;
  mutable std::mutex mutex_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_ANSWER_BOARD_H_
