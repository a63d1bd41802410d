// Threads that search in shared graphs for a thread that has other things to do: it asks, and takes the answers later.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace attune {

class Walkers {
 public:
  // `tell` is called, by any thread, when there are answers that nobody looks for: once until they are taken.
  Walkers(size_t most, std::function<void()> tell) : most_(most), tell_(std::move(tell)) {}
  Walkers(const Walkers&) = delete;
  Walkers& operator=(const Walkers&) = delete;
  ~Walkers() { stop(); }

  // False when the system gives no thread to do it.
  bool ask(std::unique_ptr<AskedSearch> search) {
    size_t called = 0;
    {
      const std::lock_guard<SpinLock> lock(guard_);
      if (threads_.empty() && !start()) return false;
      cost_ += search->cost;
      // A walk is the work of one, a comparison that of all.
      const size_t most = search->compares ? most_ : 1;
      (search->compares ? to_compare_ : to_walk_).push_back(std::move(search));
      count_work();
      for (size_t i = 0; i < most && (awake_ == 0 || cost_ > awake_ * WORTH_A_THREAD); i++) {
        if (asleep_ > 0) {
          asleep_--;
          awake_++;
          called++;
        } else if (threads_.size() == most_ || !start()) {
          break;
        }
      }
    }
    if (called > 0) call(called);
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
  std::vector<std::unique_ptr<AskedSearch>> take(size_t most) {
    std::vector<std::unique_ptr<AskedSearch>> taken;
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

  // Wakes so many of those that sleep.
  void call(size_t count) {
    {
      const std::lock_guard<std::mutex> lock(bed_);
      called_ += count;
    }
    for (size_t i = 0; i < count; i++) wake_.notify_one();
  }

  void work() {
    std::unique_lock<SpinLock> lock(guard_);
    bool walked = false;
    while (!stops()) {
      // Walks and comparisons take turns, and a comparison with others once a block.
      walked = !to_walk_.empty() && !(walked && compares());
      if (walked) {
        walk(lock);
      } else if (compares()) {
        if (!begin(lock)) compare(lock);
      } else {
        rest(lock);
      }
    }
  }

  bool compares() const { return !to_compare_.empty() || !comparisons_.empty(); }

  // These hold the lock before and after.

  void walk(std::unique_lock<SpinLock>& lock) {
    std::unique_ptr<AskedSearch> search = std::move(to_walk_.front());
    to_walk_.pop_front();
    count_work();
    lock.unlock();
    answer(*search);
    lock.lock();
    give(std::move(search));
    tell(lock);
  }

  // Begins with a comparison, if there is one that waits for no other with the same nodes: those who ask meanwhile are answered together then.
  bool begin(std::unique_lock<SpinLock>& lock) {
    const auto waits = [this](const std::unique_ptr<AskedSearch>& search) {
      return std::any_of(comparisons_.begin(), comparisons_.end(), [&](const auto& other) { return other->is_of_nodes_of(*search); });
    };
    const auto first = std::find_if_not(to_compare_.begin(), to_compare_.end(), waits);
    if (first == to_compare_.end()) return false;
    const AskedSearch& one = **first;
    const auto alike = std::stable_partition(
      to_compare_.begin(), to_compare_.end(), [&](const auto& other) { return !other->is_of_same_nodes(one); });
    std::vector<std::unique_ptr<AskedSearch>> together(std::make_move_iterator(alike), std::make_move_iterator(to_compare_.end()));
    to_compare_.erase(alike, to_compare_.end());
    count_work();
    lock.unlock();
    const auto comparison = std::make_shared<Comparison>(std::move(together));
    lock.lock();
    if (comparison->all_given()) {
      give_all(*comparison, lock);
    } else {
      comparisons_.push_back(comparison);
      count_work();
    }
    return true;
  }

  // Compares a block of the comparison that waited longest for that.
  void compare(std::unique_lock<SpinLock>& lock) {
    const std::shared_ptr<Comparison> comparison = comparisons_.front();
    comparisons_.pop_front();
    const size_t block = comparison->next();
    if (!comparison->all_given()) comparisons_.push_back(comparison);
    count_work();
    lock.unlock();
    comparison->compare(block);
    lock.lock();
    if (comparison->end()) give_all(*comparison, lock);
  }

  void give_all(Comparison& comparison, std::unique_lock<SpinLock>& lock) {
    for (std::unique_ptr<AskedSearch>& search : comparison.answers()) give(std::move(search));
    tell(lock);
  }

  void give(std::unique_ptr<AskedSearch> search) {
    cost_ -= search->cost;
    answered_.push_back(std::move(search));
    answers_.store(answered_.size(), std::memory_order_release);
  }

  // Tells of what was just given, unless somebody knows or will hear of more soon.
  void tell(std::unique_lock<SpinLock>& lock) {
    const bool is_short = answered_.back()->cost <= SHORT_US;
    if (watched_ || told_ || (is_short && answered_.size() < TOGETHER && !to_walk_.empty())) return;
    told_ = true;
    lock.unlock();
    tell_();
    lock.lock();
  }

  // For those who look without the lock.
  void count_work() { waiting_.store(to_walk_.size() + to_compare_.size() + comparisons_.size(), std::memory_order_release); }

  // Returns when there may be something to do; holds the lock before and after.
  void rest(std::unique_lock<SpinLock>& lock) {
    if (!lingers_) {
      lingers_ = true;
      lock.unlock();
      wait_while([this] { return waiting_.load(std::memory_order_acquire) == 0 && !stops(); }, AWAKE_US);
      lock.lock();
      lingers_ = false;
      if (!to_walk_.empty() || compares()) return;
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
  static void answer(AskedSearch& search) {
    search.answered = false;
    try {
      walk_for(search);
    } catch (const std::exception&) {
    }
  }

  static void walk_for(AskedSearch& asked) {
    const std::shared_lock<std::shared_mutex> lock(asked.shared->searching);
    const Graph* graph = asked.shared->graph;
    if (graph == nullptr) return;
    const float* query = asked.query.data();
    const std::vector<Hit> found = asked.all ? search(StillGraph(*graph), query, asked.k, asked.breadth, Everyone())
                                             : search(StillGraph(*graph), query, asked.k, asked.breadth, asked.living);
    // Into memory of the thread that asked, which frees it: threads that free each other's wait for each other.
    asked.hits.assign(found.begin(), found.end());
    asked.answered = true;
  }

  const size_t most_;
  const std::function<void()> tell_;
  // Of all that follows but where those sleep who have nothing to do.
  SpinLock guard_;
  std::mutex bed_;
  std::condition_variable wake_;
  size_t called_ = 0;
  std::vector<std::thread> threads_;
  std::deque<std::unique_ptr<AskedSearch>> to_walk_, to_compare_, answered_;
  // Those with blocks that nobody has yet.
  std::deque<std::shared_ptr<Comparison>> comparisons_;
  // How much there is to do and to take, for those who look without the lock.
  std::atomic<size_t> waiting_{0}, answers_{0};
  // Microseconds of what was asked and is not answered.
  double cost_ = 0;
  // Threads that sleep and were not called, and all others.
  size_t asleep_ = 0, awake_ = 0;
  bool lingers_ = false, watched_ = false, told_ = false;
  std::atomic<bool> stops_{false};
};

}  // namespace attune
