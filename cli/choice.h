// An option that takes one of a few words.
#ifndef SYSREWRITE_CLI_CHOICE_H_
#define SYSREWRITE_CLI_CHOICE_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace sysrewrite {

struct ChoiceText {
  std::string name, type, help;  // as "--format", "FORMAT"
};

// `take` gets one of the words, as it stands here however the user writes it.
void add_word_option(CLI::App& app, const ChoiceText& text, const std::vector<std::string>& words,
                     const std::function<void(const std::string&)>& take);

template <typename T>
void add_choice(CLI::App& app, const ChoiceText& text, T& value,
                const std::map<std::string, T>& choices) {
  std::vector<std::string> words;
  words.reserve(choices.size());
  for (const auto& [word, meaning] : choices) words.push_back(word);
  add_word_option(app, text, words,
                  [&value, choices](const std::string& word) { value = choices.at(word); });
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_CHOICE_H_
