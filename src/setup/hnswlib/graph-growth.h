// Rows that become nodes of a graph on other threads, while the one that has the graph goes on, and may search what was there before.
#pragma once

#include <exception>
#include <functional>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

namespace attune {

// What is added to the priority number of threads that add: who asks and who writes goes first.
constexpr int LATER = 5;

// The graph has room, and stays what and where it is until `wait` has returned; what belongs to JavaScript is touched by its thread alone.
class Batch {
 public:
  // The rows are copied.
  Batch(Graph& graph, const float* rows, size_t count, size_t threads, bool give_way)
    : before(graph), row_of(count), graph_(graph), threads_(threads), give_way_(give_way), rows_(rows, rows + count * (graph.data_size_ / sizeof(float))) {}
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch() { wait(); }

  // `tell` is called when no thread adds any more; by another thread, unless the system gives none.
  void start(const std::function<void()>& tell) {
    const auto work = [this, tell] {
      try {
        add_rows(graph_, rows_.data(), row_of.size(), threads_, give_way_, row_of.data());
      } catch (const std::exception& error) {
        failure = error.what();
      }
      tell();
    };
    try {
      thread_ = std::thread([work] {
        // On Linux, where this is built, a thread has a priority of its own, which those that it starts inherit.
        [[maybe_unused]] const int priority = nice(LATER);
        work();
      });
    } catch (const std::system_error&) {
      work();
    }
  }

  void wait() {
    if (thread_.joinable()) thread_.join();
  }

  // The graph without these rows.
  const Extent before;
  // Which row became the i-th node, when none are under way any more; and why one did not.
  std::vector<uint32_t> row_of;
  std::string failure;
  // Whether JavaScript knows of the new nodes.
  bool told = false;

 private:
  Graph& graph_;
  const size_t threads_;
  const bool give_way_;
  const std::vector<float> rows_;
  std::thread thread_;
};

}  // namespace attune
