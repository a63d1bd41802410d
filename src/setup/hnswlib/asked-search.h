// A search that one thread asks of others, and its answer.
#pragma once

#include <memory>
#include <vector>

namespace attune {

struct AskedSearch {
  double id;
  std::shared_ptr<SharedGraph> shared;
  std::vector<float> query;
  size_t k;
  // As many as the graph has nodes: a comparison with each.
  size_t breadth;
  bool compares;
  // Without maps everyone lives.
  bool all;
  Living living;
  // About how long it takes, in microseconds.
  double cost;
  // False when the graph is no longer shared, or memory was short.
  bool answered;
  std::vector<Hit> hits;

  // Whether the other may be answered from the same nodes.
  bool is_of_same_nodes(const AskedSearch& other) const {
    return shared == other.shared && all == other.all && (all || living == other.living);
  }
};

}  // namespace attune
