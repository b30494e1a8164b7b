#include "cli/cache/cache_command.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/input_file.h"
#include "cli/messages.h"
#include "rewriter/pipeline.h"

namespace sysrewrite {

namespace {

using Json = nlohmann::ordered_json;

std::string quoted(const std::string& path) {
  return Json(path).dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The bytes that rewriting gives now, or nothing where the original is not there any more.
enum class Proof { kSame, kDiffers, kNoOriginal };

Proof prove(const CacheEntry& entry) {
  const auto original = InputFile::open(entry.path);
  if (!original || sha256(original->bytes()) != entry.content) return Proof::kNoOriginal;
  const auto again = rewrite(original->bytes(), entry_options());
  if (!again) return Proof::kDiffers;
  const bool nothing = again->report.sites.empty();
  if (nothing) return entry.output.tail.empty() ? Proof::kSame : Proof::kDiffers;
  const CacheEntry fresh = make_entry(entry.content, original->bytes(), again->output);
  const bool same = fresh.originals == entry.originals && fresh.output.tail == entry.output.tail &&
                    fresh.output.tail_offset == entry.output.tail_offset &&
                    std::equal(fresh.output.patches.begin(), fresh.output.patches.end(),
                               entry.output.patches.begin(), entry.output.patches.end(),
                               [](const BytePatch& a, const BytePatch& b) {
                                 return a.offset == b.offset && a.bytes == b.bytes;
                               });
  return same ? Proof::kSame : Proof::kDiffers;
}

std::string when(int64_t seconds) {
  return fmt::format("{:%Y-%m-%d %H:%M}", fmt::localtime(static_cast<time_t>(seconds)));
}

int list(const CacheStore& store, bool json) {
  Json entries = Json::array();
  uint64_t bytes = 0, files = 0;
  for (const CachedFile& file : store.list()) {
    bytes += file.size;
    ++files;
    if (file.shelf != CacheShelf::kEntries) continue;
    const auto entry = file.is_regular ? store.read_entry(file) : std::nullopt;
    const std::string digest = file.name.substr(0, file.name.find('.'));
    if (json) {
      Json item{{"content", digest}, {"size", file.size}, {"last_used", file.last_used_s}};
      item["path"] = entry ? Json(entry->path) : Json();
      item["content_size"] = entry ? Json(entry->content_size) : Json();
      item["usable"] = entry.has_value();
      entries.push_back(item);
    } else if (entry) {
      print(stdout, fmt::format("{}  {:>9}  {}  {}\n", digest.substr(0, 16), file.size,
                                when(file.last_used_s), quoted(entry->path)));
    } else {
      print(stdout, fmt::format("{}  {:>9}  {}  (not of this build, or damaged)\n",
                                digest.substr(0, 16), file.size, when(file.last_used_s)));
    }
  }
  if (json) {
    const Json all{
        {"cache", store.path()}, {"files", files}, {"bytes", bytes}, {"entries", entries}};
    print_json(fmt::format("{}\n", all.dump(2, ' ', false, Json::error_handler_t::replace)));
  } else {
    print(stderr, fmt::format("{}: {} files, {} bytes\n", store.path(), files, bytes));
  }
  return 0;
}

int verify(const CacheStore& store, bool json) {
  uint64_t proven = 0, without_original = 0, bad = 0, identities = 0;
  Json problems = Json::array();
  const auto report = [&](const CachedFile& file, const char* what) {
    ++bad;
    problems.push_back({{"file", file.name}, {"problem", what}});
    if (!json) print(stdout, fmt::format("{}: {}\n", file.name, what));
  };
  for (const CachedFile& file : store.list()) {
    if (file.name.starts_with("new.")) continue;
    if (file.shelf == CacheShelf::kIdentities) {
      if (file.is_regular && store.is_sound_identity(file)) {
        ++identities;
      } else {
        report(file, "not written by this build with this key, or changed since");
      }
      continue;
    }
    const auto entry = file.is_regular ? store.read_entry(file) : std::nullopt;
    if (!entry) {
      report(file, "not written by this build with this key, or changed since");
      continue;
    }
    switch (prove(*entry)) {
      case Proof::kSame:
        ++proven;
        break;
      case Proof::kNoOriginal:
        ++without_original;
        break;
      case Proof::kDiffers:
        report(file, "rewriting its original gives something else");
    }
  }
  if (json) {
    const Json all{{"cache", store.path()},
                   {"proven", proven},
                   {"sealed", without_original},
                   {"identities", identities},
                   {"problems", problems}};
    print_json(fmt::format("{}\n", all.dump(2, ' ', false, Json::error_handler_t::replace)));
  } else {
    print(stderr,
          fmt::format(
              "{}: {} entries proven against their originals, {} whose original is gone or has "
              "changed bear the seal, {} identities; {} not believed{}\n",
              store.path(), proven, without_original, identities, bad,
              bad == 0 ? "" : " (never used; sysrewrite cache prune removes them)"));
  }
  return bad == 0 ? 0 : 1;
}

int prune_to(const CacheStore& store, const CacheCommand& command) {
  const Pruned pruned = prune(store, command.max_size);
  if (command.json) {
    const Json all{{"cache", store.path()},
                   {"removed_files", pruned.files},
                   {"removed_bytes", pruned.bytes},
                   {"bytes", pruned.left}};
    print_json(fmt::format("{}\n", all.dump(2, ' ', false, Json::error_handler_t::replace)));
  } else {
    print(stderr, fmt::format("{}: removed {} files of {} bytes, {} bytes are left\n", store.path(),
                              pruned.files, pruned.bytes, pruned.left));
  }
  return 0;
}

}  // namespace

int execute(const CacheCommand& command) {
  const auto store = CacheStore::open();
  if (!store) {
    print(stderr, fmt::format("sysrewrite: cache: {}\n", store.error().message));
    return 1;
  }
  switch (command.action) {
    case CacheAction::kList:
      return list(*store, command.json);
    case CacheAction::kVerify:
      return verify(*store, command.json);
    case CacheAction::kPrune:
      return prune_to(*store, command);
  }
  return 1;
}

}  // namespace sysrewrite
