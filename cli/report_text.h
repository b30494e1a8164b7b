// The report for people, and as JSON for scripts.
#ifndef SYSREWRITE_CLI_REPORT_TEXT_H_
#define SYSREWRITE_CLI_REPORT_TEXT_H_

#include <string>

#include "cli/metadata.h"
#include "rewriter/pipeline.h"

namespace sysrewrite {

// The words that every report uses.
const char* kind_text(ImageKind kind);
const char* class_text(CandidateClass kind);
const char* pair_text(PairKind kind);

// A few lines: sizes, tiers, how it will be started, and each site that is not redirected by a
// jump.
std::string report_text(const Report& report, const std::string& input, const std::string& output,
                        bool dry_run);

// Lines on what the output could not be given; none where nothing matters.
std::string lost_text(const Lost& lost, const std::string& output);

// One JSON object with everything; addresses are numbers.
std::string report_json(const Report& report, const std::string& input, const std::string& output,
                        bool dry_run, const Lost& lost);

std::string error_json(const Error& error, const std::string& input);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_REPORT_TEXT_H_
