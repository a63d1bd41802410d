// Threads that walk in shared graphs for a thread that has other things to do: it asks, and takes the answers later.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace attune {

// Held for less time than it takes to sleep and to be woken.
class SpinLock {
 public:
  void lock() {
    while (held_.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
  }
  void unlock() { held_.clear(std::memory_order_release); }

 private:
  std::atomic_flag held_ = ATOMIC_FLAG_INIT;
};

// A search that was asked, and its answer.
struct Walk {
  double id;
  std::shared_ptr<SharedGraph> shared;
  std::vector<float> query;
  size_t k;
  size_t breadth;
  // Without maps everyone lives.
  bool all;
  Living living;
  // About how long it takes, in microseconds.
  double cost;
  // False when the graph is no longer shared, or memory was short.
  bool answered;
  std::vector<Hit> hits;
};

class Walkers {
 public:
  // `tell` is called, by any thread, when there are answers that nobody looks for: once until they are taken.
  Walkers(size_t most, std::function<void()> tell) : most_(most), tell_(std::move(tell)) {}
  Walkers(const Walkers&) = delete;
  Walkers& operator=(const Walkers&) = delete;
  ~Walkers() { stop(); }

  // False when the system gives no thread to do it.
  bool ask(std::unique_ptr<Walk> walk) {
    bool wakes = false;
    {
      const std::lock_guard<SpinLock> lock(guard_);
      if (threads_.empty() && !start()) return false;
      work_ += walk->cost;
      asked_.push_back(std::move(walk));
      waiting_.store(asked_.size(), std::memory_order_release);
      if (awake_ > 0 && work_ <= awake_ * WORTH_A_THREAD) return true;
      wakes = asleep_ > 0;
      if (wakes) {
        asleep_--;
        awake_++;
      } else if (threads_.size() < most_) {
        start();
      }
    }
    if (wakes) call();
    return true;
  }

  // Whether somebody looks for answers, who need not be told then. Who stops looking has to take once more.
  void watch(bool watched) {
    const std::lock_guard<SpinLock> lock(guard_);
    watched_ = watched;
  }

  // Returns when there is an answer, or the time is up. The processor stays awake, and whoever else wants it goes first.
  void wait(double microseconds) const {
    wait_while([this] { return answers_.load(std::memory_order_acquire) == 0; }, microseconds);
  }

  // Up to so many answers, in the order in which they were found.
  std::vector<std::unique_ptr<Walk>> take(size_t most) {
    std::vector<std::unique_ptr<Walk>> taken;
    const std::lock_guard<SpinLock> lock(guard_);
    told_ = false;
    while (!answered_.empty() && taken.size() < most) {
      taken.push_back(std::move(answered_.front()));
      answered_.pop_front();
    }
    answers_.store(answered_.size(), std::memory_order_release);
    return taken;
  }

  // Ends the threads; what was asked stays unanswered.
  void stop() {
    stops_.store(true, std::memory_order_release);
    {
      // Whoever is about to sleep has seen it, or sleeps already.
      const std::lock_guard<std::mutex> lock(bed_);
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  // One more thread is woken when there is more work than this, in microseconds, for each that is awake: a short walk is over before another thread is there.
  static constexpr double WORTH_A_THREAD = 1500;
  // How long a thread waits for work before it sleeps, if no other does: an idle processor takes longer to wake than a short walk takes.
  static constexpr double AWAKE_US = 500;
  // Answers that are told of together while there is more to do, as long as the walks are no longer than this, in microseconds.
  static constexpr size_t TOGETHER = 4;
  static constexpr double SHORT_US = 250;

  template <class Condition>
  static void wait_while(const Condition& holds, double microseconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double, std::micro>(microseconds);
    while (holds() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  }

  bool start() {
    try {
      threads_.emplace_back([this] { work(); });
      awake_++;
      return true;
    } catch (const std::system_error&) {
      return false;
    }
  }

  // Wakes one of those that sleep.
  void call() {
    {
      const std::lock_guard<std::mutex> lock(bed_);
      called_++;
    }
    wake_.notify_one();
  }

  void work() {
    std::unique_lock<SpinLock> lock(guard_);
    while (!stops()) {
      if (asked_.empty()) {
        rest(lock);
        continue;
      }
      std::unique_ptr<Walk> walk = std::move(asked_.front());
      asked_.pop_front();
      waiting_.store(asked_.size(), std::memory_order_release);
      lock.unlock();
      answer(*walk);
      lock.lock();
      work_ -= walk->cost;
      const bool is_short = walk->cost <= SHORT_US;
      answered_.push_back(std::move(walk));
      answers_.store(answered_.size(), std::memory_order_release);
      if (watched_ || told_ || (is_short && answered_.size() < TOGETHER && !asked_.empty())) continue;
      told_ = true;
      lock.unlock();
      tell_();
      lock.lock();
    }
  }

  // Returns when there may be something to do; holds the lock before and after.
  void rest(std::unique_lock<SpinLock>& lock) {
    if (!lingers_) {
      lingers_ = true;
      lock.unlock();
      wait_while([this] { return waiting_.load(std::memory_order_acquire) == 0 && !stops(); }, AWAKE_US);
      lock.lock();
      lingers_ = false;
      if (!asked_.empty()) return;
    }
    awake_--;
    asleep_++;
    lock.unlock();
    {
      std::unique_lock<std::mutex> bed(bed_);
      wake_.wait(bed, [this] { return called_ > 0 || stops(); });
      if (called_ > 0) called_--;
    }
    lock.lock();
  }

  bool stops() const { return stops_.load(std::memory_order_acquire); }

  // Memory that is not to be had ends the walk, not the process: whoever asked goes another way.
  static void answer(Walk& walk) {
    walk.answered = false;
    try {
      walk_in(walk);
    } catch (const std::exception&) {
    }
  }

  static void walk_in(Walk& walk) {
    const std::shared_lock<std::shared_mutex> lock(walk.shared->searching);
    const Graph* graph = walk.shared->graph;
    if (graph == nullptr) return;
    const float* query = walk.query.data();
    const std::vector<Hit> found = walk.all ? search(*graph, query, walk.k, walk.breadth, Everyone())
                                            : search(*graph, query, walk.k, walk.breadth, walk.living);
    // Into memory of the thread that asked, which frees it: threads that free each other's wait for each other.
    walk.hits.assign(found.begin(), found.end());
    walk.answered = true;
  }

  const size_t most_;
  const std::function<void()> tell_;
  // Of all that follows but where those sleep who have nothing to do.
  SpinLock guard_;
  std::mutex bed_;
  std::condition_variable wake_;
  size_t called_ = 0;
  std::vector<std::thread> threads_;
  std::deque<std::unique_ptr<Walk>> asked_, answered_;
  // How many there are of each, for those who look without the lock.
  std::atomic<size_t> waiting_{0}, answers_{0};
  // Microseconds of what was asked and is not answered.
  double work_ = 0;
  // Threads that sleep and were not called, and all others.
  size_t asleep_ = 0, awake_ = 0;
  bool lingers_ = false, watched_ = false, told_ = false;
  std::atomic<bool> stops_{false};
};

}  // namespace attune
