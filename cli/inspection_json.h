// What inspect found, for scripts. Addresses are numbers.
#ifndef SYSREWRITE_CLI_INSPECTION_JSON_H_
#define SYSREWRITE_CLI_INSPECTION_JSON_H_

#include <optional>

#include "cli/inspection_text.h"

namespace sysrewrite {

struct InspectedFile {
  std::string path;
  std::optional<Inspection> inspection;
  std::string refusal;  // where there is no inspection
};

// An object for one file, an array of objects for several.
std::string inspections_json(const std::vector<InspectedFile>& files);

// What bisect found: the file, the site that is left in the inspection, how hard it was.
std::string found_json(const std::string& path, const Inspection& inspection, size_t sites,
                       size_t runs);

std::string summary_json(const Summary& summary);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_INSPECTION_JSON_H_
