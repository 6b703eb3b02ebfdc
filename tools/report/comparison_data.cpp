// What the comparison of runs computes: paired differences, settings, photographs.
#include <algorithm>
#include <cmath>
#include <map>

#include "engine/core/error.h"
#include "tools/report/comparison.h"
#include "tools/training/evaluation_statistics.h"

namespace dermatome::report {
namespace {

constexpr std::uint64_t kSeed = 42;

std::map<std::string, std::size_t> scored_by_id(const std::vector<ReportImage>& images) {
  std::map<std::string, std::size_t> result;
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (std::isfinite(images[i].jaccard)) result.emplace(images[i].id, i);
  }
  return result;
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t");
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// One setting a line of a TOML text: "stage 2: lr" of the second [[stage]].
void add_lines(const std::string& text, std::vector<Setting>& settings) {
  std::map<std::string, int> tables;
  std::string table;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = trimmed(text.substr(at, end - at));
    at = end + 1;
    if (line.empty() || line[0] == '#') continue;
    if (line.starts_with("[[")) {
      const std::string name = line.substr(2, line.find(']') - 2);
      table = fmt::format("{} {}: ", name, ++tables[name]);
    } else if (line.starts_with('[')) {
      const std::string name = line.substr(1, line.find(']') - 1);
      const auto owner = tables.find(name.substr(0, name.find('.')));
      table = owner == tables.end() ? name + ": "
                                    : fmt::format("{} {}: {}.", owner->first, owner->second,
                                                  name.substr(std::min(name.find('.') + 1, name.size())));
    } else if (const auto equals = line.find('='); equals != std::string::npos) {
      settings.push_back({table + trimmed(line.substr(0, equals)), trimmed(line.substr(equals + 1))});
    }
  }
}

std::vector<Setting> flattened(const ReportData& run) {
  std::vector<Setting> settings;
  for (const auto& setting : run.settings) {
    if (setting.value.find('\n') == std::string::npos) {
      settings.push_back(setting);
    } else {
      add_lines(setting.value, settings);
    }
  }
  return settings;
}

}  // namespace

Difference difference(const std::vector<ReportImage>& first, const std::vector<ReportImage>& other) {
  const auto known = scored_by_id(first);
  Difference result;
  std::vector<double> values;
  for (const auto& [id, i] : scored_by_id(other)) {
    const auto found = known.find(id);
    if (found == known.end()) continue;
    const double value = other[i].jaccard - first[found->second].jaccard;
    values.push_back(value);
    result.higher += value > 0 ? 1u : 0u;
    result.lower += value < 0 ? 1u : 0u;
  }
  result.photographs = values.size();
  if (values.empty()) return result;
  result.mean = training::mean_of(values);
  if (values.size() > 1) {
    const auto interval = training::bootstrap_interval(values, kSeed);
    result.low = interval.low;
    result.high = interval.high;
  }
  return result;
}

std::vector<DifferingSetting> differing_settings(const std::vector<ReportData>& runs) {
  std::vector<DifferingSetting> all;
  std::map<std::string, std::size_t> by_name;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    for (const auto& setting : flattened(runs[r])) {
      const auto [found, added] = by_name.emplace(setting.name, all.size());
      if (added) all.push_back({setting.name, std::vector<std::string>(runs.size(), "–")});
      all[found->second].values[r] = setting.value;
    }
  }
  std::erase_if(all, [](const DifferingSetting& setting) {
    return std::all_of(setting.values.begin(), setting.values.end(),
                       [&](const std::string& value) { return value == setting.values.front(); });
  });
  return all;
}

std::vector<std::vector<std::size_t>> most_different(const std::vector<ReportData>& runs, std::size_t most) {
  std::vector<std::map<std::string, std::size_t>> scored;
  for (const auto& run : runs) scored.push_back(scored_by_id(run.images));
  struct Candidate {
    double spread;
    std::vector<std::size_t> indices;
  };
  std::vector<Candidate> candidates;
  for (const auto& [id, ignored] : scored.front()) {
    Candidate candidate{.spread = 0, .indices = {}};
    double low = 1;
    double high = 0;
    for (std::size_t r = 0; r < runs.size(); ++r) {
      const auto found = scored[r].find(id);
      if (found == scored[r].end()) break;
      candidate.indices.push_back(found->second);
      low = std::min(low, runs[r].images[found->second].jaccard);
      high = std::max(high, runs[r].images[found->second].jaccard);
    }
    if (candidate.indices.size() < runs.size() || high <= low) continue;
    candidate.spread = high - low;
    candidates.push_back(std::move(candidate));
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const auto& a, const auto& b) { return a.spread > b.spread; });
  candidates.resize(std::min(most, candidates.size()));
  std::vector<std::vector<std::size_t>> result;
  for (auto& candidate : candidates) result.push_back(std::move(candidate.indices));
  return result;
}

}  // namespace dermatome::report
