// A limit on what many threads hold at once, so that memory does not grow with the number of cores.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace dermatome::data {

// Decoding holds at most so much at once, besides its results, unless a single picture needs more.
inline constexpr std::size_t kDecodingBudget = std::size_t{512} << 20;

class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t bytes) : bytes_(bytes) {}

  // What was taken, given back at the end of its life.
  class Share {
   public:
    Share(MemoryBudget& budget, std::size_t bytes) : budget_(budget), bytes_(bytes) {}
    ~Share() { budget_.give_back(bytes_); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    MemoryBudget& budget_;
    std::size_t bytes_;
  };

  // Waits until `bytes` fit beside what others hold; more than the whole budget waits until nobody holds any. A thread
  // that holds a share must not ask for another.
  [[nodiscard]] Share take(std::size_t bytes) {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [&] { return held_ == 0 || held_ + bytes <= bytes_; });
    held_ += bytes;
    return {*this, bytes};
  }

 private:
  void give_back(std::size_t bytes) {
    {
      const std::lock_guard lock(mutex_);
      held_ -= bytes;
    }
    freed_.notify_all();
  }

  std::size_t bytes_;
  std::size_t held_ = 0;
  std::mutex mutex_;
  std::condition_variable freed_;
};

}  // namespace dermatome::data
