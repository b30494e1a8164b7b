// An option that takes one of a few words.
#ifndef SYSREWRITE_CLI_CHOICE_H_
#define SYSREWRITE_CLI_CHOICE_H_

#include <CLI/CLI.hpp>
#include <map>
#include <string>

namespace sysrewrite {

template <typename T>
CLI::Option* add_choice(CLI::App& app, const std::string& name, T& value,
                        const std::map<std::string, T>& choices, const std::string& help) {
  return app.add_option(name, value, help)
      ->transform(CLI::CheckedTransformer(choices, CLI::ignore_case).description(""));
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_CHOICE_H_
