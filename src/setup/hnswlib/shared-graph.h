// Graphs that other threads of the process may search. Each thread has JavaScript objects of its own; a graph that its owner shares has a number
// that they all know. It is shared as it is: whatever changes it ends that first, and waits for the searches under way.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

namespace attune {

struct SharedGraph {
  explicit SharedGraph(const Graph* graph) : graph(graph) {}

  std::shared_mutex searching;
  // Null when it is no longer shared: to be asked for with the lock.
  std::atomic<const Graph*> graph;
};

class SharedGraphs {
 public:
  uint32_t add(const std::shared_ptr<SharedGraph>& graph) {
    const std::lock_guard<std::mutex> lock(guard_);
    graphs_[++last_] = graph;
    return last_;
  }

  void remove(uint32_t number) {
    const std::lock_guard<std::mutex> lock(guard_);
    graphs_.erase(number);
  }

  // The graph of this number, or null.
  std::shared_ptr<SharedGraph> find(uint32_t number) {
    const std::lock_guard<std::mutex> lock(guard_);
    const auto found = graphs_.find(number);
    return found == graphs_.end() ? nullptr : found->second;
  }

 private:
  std::mutex guard_;
  std::unordered_map<uint32_t, std::shared_ptr<SharedGraph>> graphs_;
  uint32_t last_ = 0;
};

// Of the process: every thread that loads the addon has the same. Never destroyed, since threads may outlive what is.
static SharedGraphs& shared_graphs() {
  static SharedGraphs* const graphs = new SharedGraphs();
  return *graphs;
}

// What the owner of a graph has of its sharing.
class Sharing {
 public:
  Sharing() = default;
  Sharing(const Sharing&) = delete;
  Sharing& operator=(const Sharing&) = delete;
  ~Sharing() { end(); }

  // The number by which other threads find the graph until `end`.
  uint32_t begin(const Graph* graph) {
    if (shared_ != nullptr) return number_;
    shared_ = std::make_shared<SharedGraph>(graph);
    number_ = shared_graphs().add(shared_);
    return number_;
  }

  void end() {
    if (shared_ == nullptr) return;
    shared_graphs().remove(number_);
    // Before the lock, which those that search one after the other might never leave free at once.
    shared_->graph = nullptr;
    { const std::unique_lock<std::shared_mutex> lock(shared_->searching); }
    shared_.reset();
  }

 private:
  std::shared_ptr<SharedGraph> shared_;
  uint32_t number_ = 0;
};

}  // namespace attune
