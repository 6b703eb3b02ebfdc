// A profile as tables of text, and two profiles beside each other.
#include <algorithm>
#include <cmath>
#include <map>

#include "tools/measurement/profile.h"

namespace dermatome::measurement {
namespace {

// Nodes added up.
struct Sum {
  int nodes = 0;
  double seconds = 0;
  double flops = 0;
  double bytes = 0;
  double bound = 0;

  void add(const NodeProfile& node) {
    ++nodes;
    seconds += node.seconds;
    flops += node.cost.flops;
    bytes += node.cost.bytes;
    bound += node.bound.seconds;
  }
};

Sum sum_of(const NodeProfile& node) {
  Sum sum;
  sum.add(node);
  return sum;
}

// A rate or a share, or a dash where there is nothing to divide.
std::string ratio(double above, double below, double unit, int digits, const char* sign = "") {
  if (above <= 0 || below <= 0) return "-";
  return fmt::format("{:.{}f}{}", above / below / unit, digits, sign);
}

// Time, share of all, rates and share of the roofline.
std::string figures(const Sum& sum, double all) {
  return fmt::format("{:>9.3f} {:>7} {:>9} {:>7} {:>9}", sum.seconds * 1e3, ratio(sum.seconds, all, 0.01, 1, " %"),
                     ratio(sum.flops, sum.seconds, 1e9, 1), ratio(sum.bytes, sum.seconds, 1e9, 1),
                     ratio(sum.bound, sum.seconds, 0.01, 0, " %"));
}

constexpr const char* kFigures = "       ms   share   GFLOP/s    GB/s  roofline";

// As wide as the widest text, within reason: what is longer is cut.
template <typename Row, typename Text>
std::size_t width_of(const std::vector<Row>& rows, std::size_t most, const Text& text) {
  std::size_t width = 4;
  for (const auto& row : rows) width = std::max(width, text(row).size());
  return std::min(width, most);
}

std::string cut(const std::string& text, std::size_t width) {
  return text.size() <= width ? text : text.substr(0, width - 2) + "..";
}

// Milliseconds before and after, and what that means.
std::string change(double before, double after) {
  return fmt::format("{:>10.3f} {:>10.3f} {:>+10.3f} {:>8}", before * 1e3, after * 1e3, (after - before) * 1e3,
                     before > 0 && after > 0 ? fmt::format("{:.2f}x", before / after) : "");
}

constexpr const char* kChange = " ms before   ms after     change   faster";

struct Pair {
  double before = 0;
  double after = 0;
  double difference() const { return std::abs(after - before); }
};
using Changes = std::vector<std::pair<std::string, Pair>>;

// By a text of each node; nodes of one text are added.
template <typename Text>
Changes changes_of(const Profile& before, const Profile& after, const Text& text) {
  std::map<std::string, Pair> sums;
  for (const auto& node : before.nodes) sums[text(node)].before += node.seconds;
  for (const auto& node : after.nodes) sums[text(node)].after += node.seconds;
  Changes changes(sums.begin(), sums.end());
  std::stable_sort(changes.begin(), changes.end(),
                   [](const auto& a, const auto& b) { return a.second.difference() > b.second.difference(); });
  return changes;
}

std::string table_of(const std::string& title, const Changes& changes, std::size_t count) {
  const std::size_t width = width_of(changes, 64, [](const auto& row) { return row.first; });
  std::string text = fmt::format("\n{:<{}} {}\n", title, width, kChange);
  for (std::size_t i = 0; i < std::min(count, changes.size()); ++i) {
    const auto& [name, pair] = changes[i];
    const char* only = pair.before == 0 ? "  only after" : pair.after == 0 ? "  only before" : "";
    text += fmt::format("{:<{}} {}{}\n", cut(name, width), width, change(pair.before, pair.after), only);
  }
  if (changes.size() > count) text += fmt::format("... and {} that changed less\n", changes.size() - count);
  return text;
}

std::string conditions(const Profile& p) {
  return fmt::format("{} {} {} px batch {} {} on {}, {} threads, {}", p.model, p.mode, p.size, p.batch, p.type,
                     p.device, p.threads, p.instruction_set);
}

}  // namespace

std::string summary_text(const Profile& p) {
  const double kernels = p.kernel_seconds();
  const double gap = p.wall - kernels;
  std::string text = conditions(p) + "\n";
  text += fmt::format("machine   copy {:.1f} GB/s, matrix product f32 {} GFLOP/s, bf16 {}\n", p.rates.copy / 1e9,
                      ratio(p.rates.matrix_f32, 1, 1e9, 0), ratio(p.rates.matrix_bf16, 1, 1e9, 0));
  text += fmt::format("step      {:.3f} ms in the median of {} ({:.2f} images/s)\n", p.wall * 1e3, p.runs,
                      p.batch / p.wall);
  text += fmt::format("kernels   {:.3f} ms in sum; {:.3f} ms ({:.1f} %) of the step lie between them\n", kernels * 1e3,
                      gap * 1e3, 100 * gap / p.wall);
  if (p.feeding.step > 0) {
    text +=
        fmt::format("feeding   {:.3f} ms between two steps of training; the device is at work in {:.1f} % of them\n",
                    p.feeding.step * 1e3, 100 * p.feeding.device / p.feeding.step);
  }
  text += fmt::format("roofline  {:.3f} ms, {:.0f} % of the step\n", p.bound_seconds() * 1e3,
                      100 * p.bound_seconds() / p.wall);
  text += "counts    GFLOP/s and GB/s of what the operation asks for; roofline of what its kernel executes\n";
  text += fmt::format("memory    arena {:.1f} MiB, largest live set {:.1f} MiB; {} {} MiB at its peak\n",
                      static_cast<double>(p.arena_bytes) / 1048576,
                      static_cast<double>(p.arena_lower_bound_bytes) / 1048576,
                      p.device.starts_with("cuda") ? "device" : "process", p.peak_bytes >> 20);
  return text;
}

std::string kinds_text(const Profile& profile) {
  std::map<std::pair<std::string, std::string>, Sum> sums;
  for (const auto& node : profile.nodes) sums[{node.op, node.kernel}].add(node);
  std::vector<std::pair<std::pair<std::string, std::string>, Sum>> rows(sums.begin(), sums.end());
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  const std::size_t op = width_of(rows, 32, [](const auto& row) { return row.first.first; });
  const std::size_t kernel = width_of(rows, 32, [](const auto& row) { return row.first.second; });
  const double all = profile.kernel_seconds();
  std::string text = fmt::format("{:<{}}  {:<{}} nodes {}\n", "operation", op, "kernel", kernel, kFigures);
  Sum sum;
  for (const auto& [names, kind] : rows) {
    text += fmt::format("{:<{}}  {:<{}} {:>5} {}\n", cut(names.first, op), op, cut(names.second, kernel), kernel,
                        kind.nodes, figures(kind, all));
  }
  for (const auto& node : profile.nodes) sum.add(node);
  return text + fmt::format("{:<{}}  {:<{}} {:>5} {}\n", "sum", op, "", kernel, sum.nodes, figures(sum, all));
}

std::string nodes_text(const Profile& profile, std::size_t count, bool sorted) {
  std::vector<NodeProfile> rows = profile.nodes;
  if (sorted) {
    std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  }
  const std::size_t all = rows.size();
  rows.resize(std::min(count, all));
  const std::size_t name = width_of(rows, 44, [](const auto& row) { return row.name; });
  const std::size_t op = width_of(rows, 28, [](const auto& row) { return row.op; });
  const std::size_t kernel = width_of(rows, 24, [](const auto& row) { return row.kernel; });
  const std::size_t shape = width_of(rows, 24, [](const auto& row) { return row.shape; });
  std::string text = fmt::format("{:>4}  {:<{}}  {:<{}}  {:<{}}  {:<{}} {} limit\n", "node", "name", name, "operation",
                                 op, "kernel", kernel, "output", shape, kFigures);
  const double sum = profile.kernel_seconds();
  for (const auto& row : rows) {
    text += fmt::format("{:>4}  {:<{}}  {:<{}}  {:<{}}  {:<{}} {} {}\n", row.index, cut(row.name, name), name,
                        cut(row.op, op), op, cut(row.kernel, kernel), kernel, cut(row.shape, shape), shape,
                        figures(sum_of(row), sum),
                        row.bound.seconds <= 0 ? ""
                        : row.bound.by_matrix  ? "matrix"
                                               : "copy");
  }
  if (all > count) text += fmt::format("... and {} that take less\n", all - count);
  return text;
}

std::string difference_text(const Profile& before, const Profile& after, std::size_t count) {
  std::string text = "before    " + conditions(before) + "\nafter     " + conditions(after) + "\n";
  const auto rate = [](double a, double b) {
    return a > 0 && b > 0 ? fmt::format("{:.2f}x", b / a) : std::string("-");
  };
  text += fmt::format("machine   copy {}, matrix product f32 {}, bf16 {} as fast as before\n",
                      rate(before.rates.copy, after.rates.copy), rate(before.rates.matrix_f32, after.rates.matrix_f32),
                      rate(before.rates.matrix_bf16, after.rates.matrix_bf16));
  if (before.processor != after.processor) {
    text += fmt::format("caution   another processor: {}, then {}\n", before.processor, after.processor);
  }
  text += table_of("whole step",
                   {{"wall clock", {before.wall, after.wall}},
                    {"kernels", {before.kernel_seconds(), after.kernel_seconds()}},
                    {"between kernels", {before.wall - before.kernel_seconds(), after.wall - after.kernel_seconds()}},
                    {"roofline", {before.bound_seconds(), after.bound_seconds()}}},
                   4);
  text += table_of("operation", changes_of(before, after, [](const NodeProfile& n) { return n.op; }), SIZE_MAX);
  text += table_of("node", changes_of(before, after, [](const NodeProfile& n) { return n.name + " (" + n.op + ")"; }),
                   count);
  return text + memory_difference_text(before.memory, after.memory);
}

}  // namespace dermatome::measurement
