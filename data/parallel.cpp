// The loop over files: no exception may leave an OpenMP region.
#include "data/parallel.h"

#include <atomic>
#include <exception>
#include <mutex>
#include <new>

#include "data/name_list.h"
#include "engine/core/error.h"

namespace dermatome::data {
namespace {

// Passes the progress on, one call at a time, and remembers what it threw.
class Reporter {
 public:
  Reporter(const Progress& progress, std::size_t total) : progress_(progress), total_(total) {}

  bool stopped() const { return stopped_; }

  void report() {
    const std::lock_guard lock(mutex_);
    ++done_;
    if (!progress_ || stopped_) return;
    try {
      progress_(done_, total_);
    } catch (...) {
      cause_ = std::current_exception();
      stopped_ = true;
    }
  }

  void rethrow() const {
    if (cause_) std::rethrow_exception(cause_);
  }

 private:
  const Progress& progress_;
  std::size_t total_;
  std::size_t done_ = 0;
  std::mutex mutex_;
  std::atomic<bool> stopped_ = false;
  std::exception_ptr cause_;
};

}  // namespace

std::vector<std::string> for_each_file(std::size_t count, const Progress& progress,
                                       const std::function<void(std::size_t)>& work) {
  std::vector<std::string> failures(count);
  Reporter reporter(progress, count);
  const auto end = static_cast<std::int64_t>(count);
#pragma omp parallel for schedule(dynamic)
  for (std::int64_t i = 0; i < end; ++i) {
    if (reporter.stopped()) continue;
    const auto index = static_cast<std::size_t>(i);
    try {
      work(index);
    } catch (const std::exception& error) {
      failures[index] = error.what();
    }
    reporter.report();
  }
  reporter.rethrow();
  return failures;
}

void check_failures(const std::vector<std::string>& failures, std::size_t total, const std::string& advice) {
  std::vector<std::string> named;
  for (const auto& failure : failures) {
    if (!failure.empty()) named.push_back(failure);
  }
  if (named.empty()) return;
  if (named.size() == 1) fail("{}", named.front());
  fail("{} of {} samples cannot be used{}:{}", named.size(), total, advice, listed(named));
}

}  // namespace dermatome::data
