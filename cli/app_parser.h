// Parsing with a CLI11 application, for the files that describe one.
#ifndef SYSREWRITE_CLI_APP_PARSER_H_
#define SYSREWRITE_CLI_APP_PARSER_H_

#include <optional>

#include "cli/arguments.h"

namespace CLI {
class App;
}

namespace sysrewrite {

// Parses into the variables that the application's options are bound to; a Message where there is
// nothing to do but print.
std::optional<Message> parse(CLI::App& app, int argc, const char* const* argv);

// Options that several commands have.
void add_uncertain(CLI::App& app, Options& options);
void add_tiers(CLI::App& app, Options& options);
// All that say how a file is rewritten, those two included.
void add_rewrite_options(CLI::App& app, Options& options);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_APP_PARSER_H_
