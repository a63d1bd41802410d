// Searches by comparing with every node that may be answered: in blocks, which several threads divide among each other. A row comes from memory once
// for all queries.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <memory>
#include <shared_mutex>
#include <vector>

namespace attune {

// Of rows, in a block: a few hundred microseconds of work, and all of it in a core's own cache.
constexpr size_t BLOCK_BYTES = 256 * 1024;

class Comparison {
 public:
  // Of searches that may be answered from the same nodes. It enumerates these: a moment's work.
  explicit Comparison(std::vector<std::unique_ptr<AskedSearch>> searches)
    : searches_(std::move(searches)), first_(*searches_.front()) {
    attempt([this] { prepare(); });
  }

  // Whether it could answer this one too.
  bool is_of_nodes_of(const AskedSearch& search) const { return first_.is_of_same_nodes(search); }

  // Gives out the next block, while not all are. One thread at a time calls this, `all_given` and `end`.
  size_t next() { return given_++; }
  bool all_given() const { return given_ >= blocks_; }
  // Notes that a block was compared; true for the last of all.
  bool end() { return ++ended_ == blocks_; }

  // Compares the queries with a block.
  void compare(size_t block) {
    attempt([&] { compare_rows(block * rows_of_block_, std::min(nodes_.size(), (block + 1) * rows_of_block_)); });
  }

  // The searches with their answers, when all blocks have ended. Nothing else is asked of it afterwards.
  std::vector<std::unique_ptr<AskedSearch>> answers() {
    for (const std::unique_ptr<AskedSearch>& search : searches_) {
      search->answered = !failed_;
      std::sort_heap(search->hits.begin(), search->hits.end(), Nearer{first_});
    }
    return std::move(searches_);
  }

 private:
  // Of equal ones the smaller label is nearer, where labels are known.
  struct Nearer {
    const AskedSearch& search;

    bool operator()(const Hit& a, const Hit& b) const {
      if (a.first != b.first || search.all) return a < b;
      return search.living.label_of[a.second] < search.living.label_of[b.second];
    }
  };

  // Memory that is not to be had, or a graph that is no longer shared, leave all unanswered.
  template <class Work>
  void attempt(const Work& work) {
    try {
      work();
    } catch (const std::exception&) {
      failed_ = true;
    }
  }

  // Does something with the graph, which stays as it is meanwhile.
  template <class Work>
  void with_graph(const Work& work) {
    const std::shared_lock<std::shared_mutex> lock(first_.shared->searching);
    const Graph* graph = first_.shared->graph;
    if (graph == nullptr) failed_ = true;
    if (!failed_) work(*graph);
  }

  void prepare() {
    bounds_ = std::vector<std::atomic<float>>(searches_.size());
    for (size_t i = 0; i < searches_.size(); i++) {
      const AskedSearch& search = *searches_[i];
      queries_.insert(queries_.end(), search.query.begin(), search.query.end());
      const float infinity = std::numeric_limits<float>::infinity();
      bounds_[i] = search.k == 0 ? -infinity : infinity;
    }
    with_graph([this](const Graph& graph) {
      nodes_ = first_.all ? nodes_of(graph.cur_element_count, Everyone()) : nodes_of(graph.cur_element_count, first_.living);
      rows_of_block_ = std::max<size_t>(1, BLOCK_BYTES / graph.data_size_);
      blocks_ = (nodes_.size() + rows_of_block_ - 1) / rows_of_block_;
    });
  }

  void compare_rows(size_t from, size_t to) {
    const size_t rows = to - from;
    std::vector<float> far(searches_.size() * rows);
    with_graph([&](const Graph& graph) {
      const auto row_at = [&](size_t i) { return graph.getDataByInternalId(nodes_[from + i]); };
      distances(graph.fstdistfunc_, graph.dist_func_param_, queries_.data(), searches_.size(), row_at, rows, far.data());
    });
    if (failed_) return;
    for (size_t q = 0; q < searches_.size(); q++) offer(q, from, rows, far.data() + q * rows);
  }

  // Most are farther than what was found before, which needs no lock.
  void offer(size_t q, size_t from, size_t rows, const float* far) {
    std::vector<Hit>& hits = searches_[q]->hits;
    const size_t k = searches_[q]->k;
    const Nearer nearer{first_};
    for (size_t i = 0; i < rows; i++) {
      if (far[i] > bounds_[q].load(std::memory_order_relaxed)) continue;
      const Hit hit(far[i], nodes_[from + i]);
      const std::lock_guard<SpinLock> lock(merging_);
      if (hits.size() == k) {
        if (!nearer(hit, hits.front())) continue;
        std::pop_heap(hits.begin(), hits.end(), nearer);
        hits.pop_back();
      }
      hits.push_back(hit);
      std::push_heap(hits.begin(), hits.end(), nearer);
      if (hits.size() == k) bounds_[q].store(hits.front().first, std::memory_order_relaxed);
    }
  }

  std::vector<std::unique_ptr<AskedSearch>> searches_;
  const AskedSearch& first_;
  std::vector<float> queries_;
  std::vector<Node> nodes_;
  size_t rows_of_block_ = 1, blocks_ = 0, given_ = 0, ended_ = 0;
  // Of each query, what is farther need not be offered.
  std::vector<std::atomic<float>> bounds_;
  // Of the hits.
  SpinLock merging_;
  std::atomic<bool> failed_{false};
};

}  // namespace attune
