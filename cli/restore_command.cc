#include "cli/restore_command.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/messages.h"
#include "cli/output_file.h"
#include "cli/printable.h"
#include "cli/report_text.h"
#include "rewriter/restore.h"

namespace sysrewrite {

namespace {

std::string as_json(const RestoreCommand& command, const OutputBytes& original, uint64_t size) {
  const nlohmann::json out = {{"rewritten", command.rewritten},
                              {"original", command.original},
                              {"dry_run", command.dry_run},
                              {"rewritten_size", size},
                              {"original_size", original.tail_offset.value},
                              {"places", original.patches.size()}};
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

int execute(const RestoreCommand& command) {
  const auto refuse = [&command](const Error& error) {
    return fail(command.rewritten, error, command.json);
  };
  const auto rewritten = InputFile::open(command.rewritten);
  if (!rewritten) return refuse(rewritten.error());
  const auto original = restore(rewritten->bytes());
  if (!original) return refuse(original.error());
  Lost lost;
  if (!command.dry_run)
    if (auto error = write_output(*rewritten, &*original, command.original, lost))
      return refuse(*error);
  const uint64_t size = rewritten->bytes().size();
  if (command.json)
    print_json(as_json(command, *original, size));
  else if (!command.quiet)
    print(stderr,
          fmt::format("{} -> {}\n  {} -> {} bytes, {} places put back\n",
                      printable(command.rewritten),
                      command.dry_run ? "nothing written (--dry-run)" : printable(command.original),
                      size, original->tail_offset.value, original->patches.size()));
  print(stderr, lost_text(lost, command.original));
  return 0;
}

}  // namespace sysrewrite
