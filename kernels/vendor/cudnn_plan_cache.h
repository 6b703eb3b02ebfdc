// Which plan was the fastest, kept on disk: by GPU, cuDNN version and everything that a graph is made of.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace dermatome::cudnn {

struct KnownPlan {
  std::size_t candidate = 0;
  std::string plan;
  double seconds = 0;
};

class PlanCache {
 public:
  // A file that is not there, damaged or of another format is an empty cache: plans are only timed again.
  explicit PlanCache(std::filesystem::path file);

  // That of this user: $DERMATOME_PLANS, or plans.json in the user's cache folder.
  static PlanCache& instance();
  // One a file as long as the program runs.
  static PlanCache& of(const std::filesystem::path& file);

  std::optional<KnownPlan> find(const std::string& key) const;
  // Writes the file anew, by way of a temporary one. What another process wrote meanwhile stays. A folder that cannot
  // be written costs the memory of it only.
  void put(const std::string& key, const KnownPlan& plan);

 private:
  std::map<std::string, KnownPlan> read() const;

  std::filesystem::path file_;
  std::map<std::string, KnownPlan> plans_;
};

// Found in a run's own file first, so that it goes on with the plans that it began with whatever was timed since; what
// only the user's cache knows is then the run's too. An empty `run` is none.
std::optional<KnownPlan> find_plan(const std::string& key, const std::filesystem::path& run);
// In both.
void keep_plan(const std::string& key, const KnownPlan& plan, const std::filesystem::path& run);

}  // namespace dermatome::cudnn
