// Sites by name: addresses, ranges and functions.
#include "rewriter/selection.h"

#include <gtest/gtest.h>

#include "rewriter/symbols.h"
#include "tests/rewrites.h"

namespace sysrewrite {

namespace {

using namespace test;

// f at 401000 with two sites, g at 401010 with one.
ElfBuilder two_functions() {
  const Bytes one = hex("b8 27 00 00 00 0f 05");
  return ElfBuilder()
      .code(kCode, one + one + hex("c3 90") + one + hex("c3"))
      .symbol("f", kCode, 15)
      .symbol("g", kCode + 16, 0);
}

// The tiers of the three sites, in order.
std::string tiers(std::initializer_list<const char*> only,
                  std::initializer_list<const char*> exclude) {
  Options options;
  for (const char* text : only) options.only.push_back(*parse_selector(text));
  for (const char* text : exclude) options.exclude.push_back(*parse_selector(text));
  const Whole whole = rewrite_whole(two_functions().build(), options);
  std::string out;
  for (const SiteReport& site : whole.report.sites) {
    out += static_cast<char>(site.tier);
    EXPECT_EQ(site.reason == Reason::kExcluded, site.tier == Tier::kNative);
  }
  return out;
}

TEST(Selection, EverythingUnlessSomethingIsNamed) {
  EXPECT_EQ(tiers({}, {}), "AAA");
}

TEST(Selection, AnAddressIsOneSite) {
  EXPECT_EQ(tiers({"0x401005"}, {}), "ANN");
  EXPECT_EQ(tiers({}, {"0x40100c"}), "ANA");
}

TEST(Selection, ARangeEndsBeforeItsEnd) {
  EXPECT_EQ(tiers({"0x401005-0x40100c"}, {}), "ANN");
  EXPECT_EQ(tiers({"0x401005-0x40100d"}, {}), "AAN");
}

TEST(Selection, AFunctionIsAllOfItsSites) {
  EXPECT_EQ(tiers({"f"}, {}), "AAN");
  EXPECT_EQ(tiers({}, {"f"}), "NNA");
}

TEST(Selection, AFunctionWithoutASizeReachesToTheNextSymbol) {
  EXPECT_EQ(tiers({"g"}, {}), "NNA");
}

// Names are cut where they are shown, but not where they are compared.
TEST(Selection, AFunctionIsNamedByItsWholeName) {
  const std::string shown(Symbol::kLongestName, 'n');
  const auto tiers_of = [&shown](const std::string& only) {
    Options options;
    options.only.push_back(*parse_selector(only));
    const Whole whole = rewrite_whole(
        two_functions().symbol(shown + "1", kCode, 15).symbol(shown + "2", kCode + 16, 8).build(),
        options);
    std::string out;
    for (const SiteReport& site : whole.report.sites) out += static_cast<char>(site.tier);
    return out;
  };
  EXPECT_EQ(tiers_of(shown + "1"), "AAN");
  EXPECT_EQ(tiers_of(shown + "2"), "NNA");
}

TEST(Selection, SeveralAddUpAndExcludingIsStronger) {
  EXPECT_EQ(tiers({"0x401005", "g"}, {}), "ANA");
  EXPECT_EQ(tiers({"f", "g"}, {"0x401005"}), "NAA");
}

TEST(Selection, AnExcludedSiteKeepsItsBytes) {
  Options options;
  options.exclude.push_back(*parse_selector("f"));
  const Whole whole = rewrite_whole(two_functions().build(), options);
  EXPECT_EQ(to_hex(output_at(whole, kCode, 14)), "b8 27 00 00 00 0f 05 b8 27 00 00 00 0f 05");
}

TEST(Selection, AnUnknownFunctionIsAnError) {
  Options options;
  options.only.push_back(*parse_selector("h"));
  EXPECT_EQ(rewrite_error(two_functions().build(), options).message,
            "there is no function 'h' in its symbol tables; name an address as 0x401000, or a "
            "range as 0x401000-0x402000");
}

std::string refusal(const char* only, const char* exclude) {
  Options options;
  if (only != nullptr) options.only.push_back(*parse_selector(only));
  if (exclude != nullptr) options.exclude.push_back(*parse_selector(exclude));
  ElfBuilder file = two_functions().symbol("no_calls", kCode + 23, 1);
  return rewrite_error(file.build(), options).message;
}

TEST(Selection, WhatNamesNoSiteIsAnError) {
  const std::string end = "; `sysrewrite inspect` lists the sites";
  EXPECT_EQ(refusal("0x401004", nullptr),
            "--only: there is no site at 0x401004 (the next one is at 0x401005)" + end);
  EXPECT_EQ(refusal(nullptr, "0x401100"),
            "--exclude: there is no site at 0x401100 (the last one is at 0x401015)" + end);
  EXPECT_EQ(refusal("0x401006-0x40100c", nullptr),
            "--only: there is no site in 0x401006-0x40100c" + end);
  EXPECT_EQ(refusal("f", "no_calls"), "--exclude: the function 'no_calls' holds no site" + end);
}

TEST(Selection, OneOfSeveralFunctionsOfANameIsEnough) {
  Options options;
  options.only.push_back(*parse_selector("g"));
  const Whole whole = rewrite_whole(two_functions().symbol("g", kCode + 23, 1).build(), options);
  EXPECT_EQ(whole.report.count(Tier::kInstruction), 1U);
  EXPECT_EQ(whole.report.count(Tier::kNative), 2U);
}

TEST(Selection, AFileWithoutSitesMayBeAskedForAny) {
  Options options;
  options.exclude.push_back(*parse_selector("0x401000-0x402000"));
  const Whole whole = rewrite_whole(ElfBuilder().code(kCode, hex("90 c3")).build(), options);
  EXPECT_TRUE(whole.report.sites.empty());
}

TEST(Selection, TellsAddressesFromNames) {
  EXPECT_EQ(parse_selector("add")->symbol, "add");
  EXPECT_EQ(parse_selector("0x10")->to.value, 0x11U);
  for (const char* text : {"", "0x", "0xg", "0x1-", "0x2-0x2", "0x3-0x2", "0x1-f",
                           "0x10000000000000000", "0xffffffffffffffff", "0x1 "})
    EXPECT_FALSE(parse_selector(text).has_value()) << text;
}

}  // namespace

}  // namespace sysrewrite
