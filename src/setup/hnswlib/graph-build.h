// Adds rows to a graph of hnswlib by several threads at once, which its addPoint allows.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace attune {

// Has a thread that computes for long sleep for a moment after each millisecond. A thread that is woken up meanwhile finds a processor then; it may have to
// wait for the end of another's time slice otherwise, some milliseconds, at whatever priority.
class Rests {
 public:
  explicit Rests(bool wanted) : wanted_(wanted), since_(Clock::now()) {}

  void rest_if_due() {
    if (!wanted_ || Clock::now() - since_ < WORK) return;
    std::this_thread::sleep_for(SLEEP);
    since_ = Clock::now();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds WORK{1};
  // Linux makes some 50 us more of it.
  static constexpr std::chrono::microseconds SLEEP{1};
  const bool wanted_;
  Clock::time_point since_;
};

// Adds `count` rows as the next nodes, whose labels stay their numbers: which row became which node is the threads' luck, and
// `row_of[i]` says it of node `first + i`. What a thread throws is thrown when all have ended. With `give_way` they
// rest between rows, for those who want the processors more. The graph has room.
static void add_rows(Graph& graph, const float* rows, size_t count, size_t threads, bool give_way, uint32_t* row_of) {
  const size_t width = graph.data_size_ / sizeof(float);
  const size_t first = graph.cur_element_count;
  std::atomic<size_t> next{0};
  std::mutex guard;
  std::exception_ptr failure;
  const auto add = [&](size_t i) {
    try {
      graph.addPoint(rows + i * width, first + i);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(guard);
      failure = std::current_exception();
    }
  };
  const auto work = [&] {
    Rests rests(give_way);
    for (size_t i = next++; i < count; i = next++) {
      add(i);
      rests.rest_if_due();
    }
  };
  // Two threads would both take the first node of an empty graph for its entry point.
  if (first == 0 && count > 0) add(next++);
  std::vector<std::thread> helpers;
  try {
    while (helpers.size() + 1 < threads) helpers.emplace_back(work);
  } catch (const std::system_error&) {
    // No more threads are to be had: those that are there do it.
  }
  work();
  for (std::thread& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
  for (size_t node = first; node < first + count; node++) {
    row_of[node - first] = graph.getExternalLabel(node) - first;
    graph.setExternalLabel(node, node);
    graph.label_lookup_[node] = node;
  }
}

}  // namespace attune
