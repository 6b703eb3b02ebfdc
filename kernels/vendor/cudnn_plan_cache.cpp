// The plan cache: one JSON object.
#include "kernels/vendor/cudnn_plan_cache.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

namespace dermatome::cudnn {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;

fs::path default_file() {
  if (const char* file = std::getenv("DERMATOME_PLANS"); file != nullptr && *file != '\0') return file;
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0')
    return fs::path(cache) / "dermatome" / "plans.json";
  const char* home = std::getenv("HOME");
  return fs::path(home == nullptr ? "." : home) / ".cache" / "dermatome" / "plans.json";
}

}  // namespace

PlanCache::PlanCache(fs::path file) : file_(std::move(file)), plans_(read()) {}

PlanCache& PlanCache::instance() {
  static PlanCache& cache = of(default_file());
  return cache;
}

PlanCache& PlanCache::of(const fs::path& file) {
  static std::mutex mutex;
  static std::map<fs::path, PlanCache> caches;
  const std::scoped_lock lock(mutex);
  return caches.try_emplace(file, file).first->second;
}

std::optional<KnownPlan> find_plan(const std::string& key, const fs::path& run) {
  if (run.empty()) return PlanCache::instance().find(key);
  if (auto known = PlanCache::of(run).find(key)) return known;
  auto known = PlanCache::instance().find(key);
  if (known) PlanCache::of(run).put(key, *known);
  return known;
}

void keep_plan(const std::string& key, const KnownPlan& plan, const fs::path& run) {
  PlanCache::instance().put(key, plan);
  if (!run.empty()) PlanCache::of(run).put(key, plan);
}

std::map<std::string, KnownPlan> PlanCache::read() const {
  std::map<std::string, KnownPlan> plans;
  std::ifstream stream(file_);
  const auto json = nlohmann::json::parse(stream, nullptr, false);
  if (!json.is_object() || json.value("format", 0) != kFormat || !json.contains("plans")) return plans;
  for (const auto& [key, entry] : json["plans"].items()) {
    if (!entry.is_object() || !entry.contains("plan") || !entry["plan"].is_string()) continue;
    plans[key] = {.candidate = entry.value("candidate", std::size_t{0}),
                  .plan = entry["plan"].get<std::string>(),
                  .seconds = entry.value("seconds", 0.0)};
  }
  return plans;
}

std::optional<KnownPlan> PlanCache::find(const std::string& key) const {
  const auto found = plans_.find(key);
  return found == plans_.end() ? std::nullopt : std::optional(found->second);
}

void PlanCache::put(const std::string& key, const KnownPlan& plan) {
  plans_[key] = plan;
  for (const auto& [other, known] : read()) plans_.emplace(other, known);
  nlohmann::json plans = nlohmann::json::object();
  for (const auto& [name, known] : plans_) {
    plans[name] = {{"candidate", known.candidate}, {"plan", known.plan}, {"seconds", known.seconds}};
  }
  std::error_code ignored;
  fs::create_directories(file_.parent_path(), ignored);
  const fs::path temporary = file_.string() + "." + std::to_string(::getpid());
  {
    std::ofstream stream(temporary);
    stream << nlohmann::json{{"format", kFormat}, {"plans", plans}}.dump(1) << "\n";
    if (!stream.flush()) {
      fs::remove(temporary, ignored);
      return;
    }
  }
  fs::rename(temporary, file_, ignored);
}

}  // namespace dermatome::cudnn
