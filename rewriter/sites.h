// What each candidate is: an instruction, part of one, or data, with the evidence for it.
#ifndef SYSREWRITE_REWRITER_SITES_H_
#define SYSREWRITE_REWRITER_SITES_H_

#include <optional>
#include <string>
#include <vector>

#include "rewriter/candidates.h"
#include "rewriter/code_reader.h"
#include "rewriter/range_set.h"

namespace sysrewrite {

enum class CandidateClass : uint8_t {
  kInstruction,  // a system-call instruction
  kInside,       // inside another instruction
  kData,         // data in code
  kUncertain,    // no evidence either way: left alone and reported, unless asked otherwise
};

// The kind of evidence that decided, one sentence each in evidence_text().
enum class CandidateEvidence : uint8_t {
  kFunctionDecode,         // a decode from the function's start arrives at it, or steps over it
  kAgreementDecode,        // decodes from many places agree, and the code around makes sense
  kNearbyDecode,           // decodes from nearby agree that it is inside an instruction
  kErrorCheck,             // so they do, that it is one, and what follows compares with the errors
  kObjectSymbol,           // an STT_OBJECT symbol covers it
  kDataSection,            // the section headers say that no code is there
  kNoAgreement,            // decodes disagree, or meet bytes that are no instructions
  kImplausible,            // decodes agree, but the code around makes no sense
  kImplausibleBehindCall,  // flow arrives behind a call alone, and the code makes no sense
  kCalledOver,             // it lies between a call and a target that takes its address
  kTwoReadings,    // two instructions that overlap are reached, and one of them is a system call
  kReachedObject,  // an STT_OBJECT symbol covers it, and yet flow from a known start arrives
  kTwoSegments,    // its bytes lie in two segments
};

const char* evidence_text(CandidateEvidence evidence);

struct ClassifiedCandidate {
  Candidate candidate;
  CandidateClass kind = CandidateClass::kUncertain;
  CandidateEvidence evidence = CandidateEvidence::kNoAgreement;
  std::optional<Vaddr> holder;  // the start of the instruction that is believed to hold it
};

// A syscall instruction and what is known of the code around it: no more than a plan may ask for,
// since a file can be all sites.
struct Site {
  Instruction instruction;     // with its prefixes, if somebody gave it any
  Neighborhood around;         // the few instructions in front and behind
  std::vector<Range> padding;  // dead padding within reach of a short jump, ascending
  size_t index = 0;            // of the instruction in around.code
  CandidateEvidence evidence = CandidateEvidence::kFunctionDecode;
};

struct Sites {
  std::vector<Site> syscalls;               // ascending
  std::vector<ClassifiedCandidate> all;     // every candidate, ascending; kind says how it ended
  std::vector<ClassifiedCandidate> others;  // int 0x80 and sysenter that are instructions

  size_t count(CandidateClass kind) const;  // of the `0F 05` pairs
};

enum class UncertainPolicy : uint8_t { kLeave, kTrap, kPatch };

// `uncertain`: kPatch and kTrap turn uncertain candidates into sites.
Sites classify(const ElfImage& image, const std::vector<Candidate>& candidates,
               const FunctionIndex& functions, UncertainPolicy uncertain);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_SITES_H_
