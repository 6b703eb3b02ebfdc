// Turning what was learnt of each file into sentences.
#include "data/findings.h"

#include <algorithm>
#include <map>

#include <fmt/ranges.h>

#include "engine/core/error.h"

namespace dermatome::data {
namespace {

namespace fs = std::filesystem;

class Findings {
 public:
  void add(Level level, std::string_view kind, std::vector<fs::path> files, std::string text) {
    Finding finding{.level = level, .kind = kind, .files = {}, .text = std::move(text)};
    for (const auto& file : files) finding.files.push_back(file.string());
    all_.push_back(std::move(finding));
  }

  // Errors first, each level in the order of kinds' first appearance.
  std::vector<Finding> sorted() && {
    std::stable_sort(all_.begin(), all_.end(), [](const auto& a, const auto& b) { return a.level < b.level; });
    return std::move(all_);
  }

 private:
  std::vector<Finding> all_;
};

std::string name_of(const fs::path& path) {
  return path.filename().string();
}

void add_unpaired(const Pairing& pairing, Findings& findings) {
  for (const auto& unpaired : pairing.unpaired) {
    findings.add(Level::error, "photographs without exactly one mask", unpaired.files,
                 fmt::format("{} has {}", unpaired.id, cause_of(unpaired, pairing)));
  }
  for (const auto& mask : pairing.lone_masks) {
    findings.add(Level::warning, "masks without a photograph", {mask},
                 fmt::format("{} belongs to no photograph in {}", name_of(mask), pairing.images.string()));
  }
}

std::string repairs_text(const MaskRepairs& repairs) {
  std::vector<std::string> parts;
  if (repairs.zero_one) parts.emplace_back("its values are 0 and 1");
  if (repairs.colour) parts.emplace_back("it is stored in colour");
  if (repairs.grey_edged) parts.emplace_back("it has values between black and white");
  if (repairs.resized) parts.emplace_back("it has another size than its photograph");
  if (repairs.turned) parts.emplace_back("it is turned as its photograph's EXIF orientation shows it");
  return fmt::format("{}", fmt::join(parts, ", "));
}

void add_files(const Sample& sample, const InspectedPair& pair, Findings& findings) {
  if (!pair.photograph.error.empty()) {
    findings.add(Level::error, "photographs that cannot be read", {sample.image}, pair.photograph.error);
  } else if (pair.photograph.info.orientation != Orientation::upright) {
    findings.add(Level::information, "photographs that are turned upright", {sample.image},
                 fmt::format("{}: {}, as EXIF says", name_of(sample.image), name_of(pair.photograph.info.orientation)));
  }
  if (!pair.mask.error.empty()) {
    findings.add(Level::error, "masks that cannot be used", {sample.mask}, pair.mask.error);
    return;
  }
  if (pair.mask.repairs.any()) {
    findings.add(Level::warning, "masks that need a repair", {sample.mask},
                 fmt::format("{}: {}", name_of(sample.mask), repairs_text(pair.mask.repairs)));
  }
  if (pair.mask.lesion_share == 0) {
    findings.add(Level::warning, "masks without a lesion", {sample.mask}, name_of(sample.mask) + " is all black");
  }
  if (pair.mask.lesion_share == 1) {
    findings.add(Level::warning, "masks that are all lesion", {sample.mask}, name_of(sample.mask) + " is all white");
  }
}

// Samples by the contents of their photographs; groups of one are left out.
std::map<ContentHash, std::vector<std::size_t>> copies_in(const std::vector<InspectedPair>& pairs) {
  std::map<ContentHash, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (pairs[i].photograph.error.empty()) groups[pairs[i].photograph.hash].push_back(i);
  }
  std::erase_if(groups, [](const auto& group) { return group.second.size() < 2; });
  return groups;
}

void add_copies(const std::vector<Sample>& samples, const std::vector<InspectedPair>& pairs, Findings& findings) {
  std::vector<std::vector<std::size_t>> groups;
  for (const auto& [hash, members] : copies_in(pairs)) groups.push_back(members);
  std::sort(groups.begin(), groups.end());
  for (const auto& members : groups) {
    std::vector<fs::path> files;
    std::vector<std::string> names;
    bool same_masks = true;
    for (const std::size_t i : members) {
      files.push_back(samples[i].image);
      names.push_back(name_of(samples[i].image));
      same_masks = same_masks && pairs[i].mask.hash == pairs[members.front()].mask.hash;
    }
    findings.add(
        Level::warning, "photographs that are there more than once", files,
        fmt::format("{} are the same file{}", fmt::join(names, " and "), same_masks ? "" : ", with different masks"));
  }
}

// Jaccard index of two small masks, the second turned; 1 where both are empty.
double agreement(const Image& a, const Image& b, Orientation turn) {
  const Image turned = to_upright(b, turn);
  std::size_t both = 0;
  std::size_t either = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) {
    both += a.pixels[i] != 0 && turned.pixels[i] != 0 ? 1u : 0u;
    either += a.pixels[i] != 0 || turned.pixels[i] != 0 ? 1u : 0u;
  }
  return either == 0 ? 1 : static_cast<double>(both) / static_cast<double>(either);
}

std::string turn_text(Orientation turn) {
  return turn == Orientation::upright ? "" : fmt::format(" after a turn ({})", name_of(turn));
}

void add_near_duplicates(const std::vector<Sample>& samples, const std::vector<InspectedPair>& pairs,
                         Findings& findings) {
  std::vector<Fingerprint> prints;
  for (const auto& pair : pairs) prints.push_back(pair.photograph.print);
  for (const NearDuplicate& like : find_near_duplicates(prints)) {
    const InspectedPair& a = pairs[like.first];
    const InspectedPair& b = pairs[like.second];
    if (a.photograph.hash == b.photograph.hash) continue;
    std::string masks;
    if (a.mask.error.empty() && b.mask.error.empty()) {
      masks = fmt::format("; their masks agree to {:.2f}", agreement(a.mask.small, b.mask.small, like.turn));
    }
    findings.add(
        Level::information, "pairs of near-duplicates", {samples[like.first].image, samples[like.second].image},
        fmt::format("{} and {} show the same picture{} (likeness {:.2f}){}", name_of(samples[like.first].image),
                    name_of(samples[like.second].image), turn_text(like.turn), like.likeness, masks));
  }
}

}  // namespace

std::string_view name_of(Level level) {
  switch (level) {
    case Level::error: return "error";
    case Level::warning: return "warning";
    case Level::information: return "information";
  }
  return "?";
}

std::vector<Finding> findings_of(const Pairing& pairing, const std::vector<InspectedPair>& pairs) {
  Findings findings;
  add_unpaired(pairing, findings);
  for (std::size_t i = 0; i < pairs.size(); ++i) add_files(pairing.samples[i], pairs[i], findings);
  add_copies(pairing.samples, pairs, findings);
  add_near_duplicates(pairing.samples, pairs, findings);
  return std::move(findings).sorted();
}

std::vector<Finding> leaks_between(const std::vector<Sample>& samples, const std::vector<InspectedPair>& pairs,
                                   const std::vector<fs::path>& others,
                                   const std::vector<InspectedPhotograph>& other_photographs) {
  Findings findings;
  std::vector<Fingerprint> prints;
  for (const auto& pair : pairs) prints.push_back(pair.photograph.print);
  for (std::size_t i = 0; i < others.size(); ++i) {
    prints.push_back(other_photographs[i].print);
    if (!other_photographs[i].error.empty()) {
      findings.add(Level::warning, "other photographs that cannot be read", {others[i]}, other_photographs[i].error);
    }
  }
  for (const NearDuplicate& like : find_near_duplicates(prints)) {
    if (like.first >= samples.size() || like.second < samples.size()) continue;
    const Sample& sample = samples[like.first];
    const std::size_t other = like.second - samples.size();
    const bool same = pairs[like.first].photograph.hash == other_photographs[other].hash;
    findings.add(Level::warning, "pairs across the two folders", {sample.image, others[other]},
                 same ? fmt::format("{} is {} as well", name_of(sample.image), others[other].string())
                      : fmt::format("{} shows the same picture as {}{} (likeness {:.2f})", name_of(sample.image),
                                    others[other].string(), turn_text(like.turn), like.likeness));
  }
  return std::move(findings).sorted();
}

}  // namespace dermatome::data
