// Laying out the live view and the table of epochs.
#include "tools/training/live_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

namespace dermatome::training {
namespace {

constexpr const char* kGreen = "\x1b[32m";
constexpr const char* kPlain = "\x1b[0m";

std::string green(const std::string& text, const ViewStyle& style) {
  return style.colour && !text.empty() ? kGreen + text + kPlain : text;
}

std::string bar(double share, int width, const ViewStyle& style) {
  const int full = std::clamp(static_cast<int>(share * width + 0.5), 0, width);
  std::string done, rest;
  for (int i = 0; i < full; ++i) done += style.unicode ? "━" : "#";
  for (int i = full; i < width; ++i) rest += style.unicode ? "─" : "-";
  return green(done, style) + rest;
}

// The words with a bar between them that fills the line, or without where too little is left for one.
std::string bar_line(const std::string& before, double share, const std::string& behind, const ViewStyle& style) {
  constexpr int kShortest = 6, kLongest = 40;
  const int room = style.width - columns_of(before) - columns_of(behind) - 2;
  if (room < kShortest) return (before + " " + behind).substr(0, static_cast<std::size_t>(style.width));
  return before + " " + bar(share, std::min(room, kLongest), style) + " " + behind;
}

// As many fields in each line as fit.
void add_packed(std::vector<std::string>& lines, std::span<const std::string> fields, int width) {
  std::string line;
  for (const auto& field : fields) {
    if (!line.empty() && columns_of(line) + 2 + columns_of(field) > width) {
      lines.push_back(line);
      line.clear();
    }
    line += (line.empty() ? "" : "  ") + field.substr(0, static_cast<std::size_t>(width));
  }
  if (!line.empty()) lines.push_back(line);
}

double share_of(std::size_t done, std::size_t total) {
  return total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
}

struct Column {
  const char* title;
  int width;
  int rank;  // the highest goes first where there is too little room
};
constexpr std::array<Column, 9> kColumns{{{"epoch", 7, 0},
                                          {"px", 5, 5},
                                          {"rate", 10, 6},
                                          {"loss", 8, 4},
                                          {"Jaccard", 9, 3},
                                          {"val loss", 10, 2},
                                          {"val Jaccard", 13, 1},
                                          {"images/s", 10, 7},
                                          {"memory", 10, 8}}};
constexpr const char* kBest = "  best";

// The cells of the columns that fit, one behind the other.
std::string table_line(std::span<const std::string> cells, int width) {
  int rank = 0;
  for (int room = width - columns_of(kBest); rank < static_cast<int>(kColumns.size()); ++rank) {
    const auto next = std::find_if(kColumns.begin(), kColumns.end(), [&](const Column& c) { return c.rank == rank; });
    room -= next->width;
    if (room < 0) break;
  }
  std::string line;
  for (std::size_t i = 0; i < kColumns.size(); ++i) {
    if (kColumns[i].rank < std::max(rank, 1)) line += fmt::format("{:>{}}", cells[i], kColumns[i].width);
  }
  return line;
}

}  // namespace

int columns_of(const std::string& text) {
  int columns = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      i = std::min(text.find('m', i), text.size());
    } else if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) {  // not a later byte of a UTF-8 character
      ++columns;
    }
  }
  return columns;
}

std::string threads_text(int threads) {
  return fmt::format("{} thread{}", threads, threads == 1 ? "" : "s");
}

std::string duration_text(double seconds) {
  const auto s = static_cast<long>(seconds + 0.5);
  if (s >= 3600) return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
  if (s >= 60) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} s", s);
}

std::vector<std::string> step_lines(const StepResult& r, const BestEpoch& best, std::size_t memory,
                                    const ViewStyle& style) {
  const auto done = static_cast<std::size_t>(r.images_done);
  const auto images = static_cast<std::size_t>(r.images);
  std::vector<std::string> lines{bar_line(fmt::format("epoch {}/{}", r.epoch, r.epochs), share_of(done, images),
                                          fmt::format("{}/{}", done, images), style)};
  std::vector<std::string> fields{fmt::format("{} left", duration_text(r.seconds_left)),
                                  fmt::format("loss {:.4f}", r.loss), fmt::format("Jaccard {:.3f}", r.jaccard)};
  if (best.epoch > 0) fields.push_back(fmt::format("best {:.4f} (epoch {})", best.jaccard, best.epoch));
  fields.push_back(fmt::format("{:.1f} images/s", r.images_per_second));
  fields.push_back(fmt::format("{} MiB", memory >> 20));
  add_packed(lines, fields, style.width);
  return lines;
}

std::string count_line(const std::string& what, std::size_t done, std::size_t total, double seconds_left,
                       const ViewStyle& style) {
  const std::string left = seconds_left < 0 ? "" : fmt::format(", {} left", duration_text(seconds_left));
  return bar_line(what, share_of(done, total), fmt::format("{}/{}{}", done, total, left), style);
}

std::string epoch_header(const ViewStyle& style) {
  std::array<std::string, kColumns.size()> cells;
  for (std::size_t i = 0; i < cells.size(); ++i) cells[i] = kColumns[i].title;
  return table_line(cells, style.width);
}

std::string epoch_row(const EpochResult& r, std::size_t memory, const ViewStyle& style) {
  const auto validation = [&](double value) { return r.validated ? fmt::format("{:.4f}", value) : "-"; };
  const std::array<std::string, kColumns.size()> cells{
      fmt::format("{}/{}", r.epoch, r.epochs), fmt::format("{}", r.size),
      fmt::format("{:.2e}", r.learning_rate),  fmt::format("{:.4f}", r.train_loss),
      fmt::format("{:.4f}", r.train_jaccard),  validation(r.validation_loss),
      validation(r.validation_jaccard),        fmt::format("{:.1f}", r.images_per_second),
      fmt::format("{} MiB", memory >> 20)};
  return table_line(cells, style.width) + (r.best && r.validated ? green(kBest, style) : "");
}

}  // namespace dermatome::training
