// Searches in a graph of hnswlib, offered beside hnswlib's own (node-methods.h): the same answers as HierarchicalNSW::searchKnn, with rows
// compared four at a time, and with a filter that is bits, not a callback.
// A node is hnswlib's internal number; it is also the label that hnswlib knows when points were added as 0, 1, 2 and so on.
#pragma once

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace attune {

typedef std::pair<float, Node> Hit;

// Which nodes a search may answer: those that are their label's last (`node_of[label_of[node]] == node`), and of these the ones whose
// label is in `allow` (bit `label % 32` of word `label / 32`), where there is one.
struct Living {
  const uint32_t* label_of;
  const uint32_t* node_of;
  size_t labels;
  const uint32_t* allow;
  size_t allow_words;

  bool operator()(Node node) const {
    const uint32_t label = label_of[node];
    if (label >= labels || node_of[label] != node) return false;
    return allow == nullptr || (label / 32 < allow_words && (allow[label / 32] >> (label % 32) & 1));
  }

  bool operator==(const Living& other) const {
    return label_of == other.label_of && node_of == other.node_of && labels == other.labels && allow == other.allow &&
           allow_words == other.allow_words;
  }
};

// Of what a walk meets: more room is made as it is needed.
constexpr size_t FIRST_ROOM = 256;

struct Everyone {
  bool operator()(Node) const { return true; }
};

static inline float distance_to(const Graph& graph, const float* query, Node node) {
  return graph.fstdistfunc_(query, graph.getDataByInternalId(node), graph.dist_func_param_);
}

// The distances of `count` nodes to a query, into `out`.
static inline void distances_to(const Graph& graph, const float* query, const Node* nodes, size_t count, float* out) {
  distances(
    graph.fstdistfunc_, graph.dist_func_param_, query, 1, [&](size_t i) { return graph.getDataByInternalId(nodes[i]); }, count, out);
}

// The node at which the walk of the lowest layer begins: from the entry point greedily down the layers above.
template <class View>
static Hit descend(View& view, const float* query) {
  const Graph& graph = view.graph;
  Hit nearest(distance_to(graph, query, view.entry), view.entry);
  std::vector<float> far;
  for (int level = view.top; level > 0; level--) {
    for (bool moved = true; moved;) {
      moved = false;
      const Links links = view.links_of(nearest.second, level);
      far.resize(links.count);
      distances_to(graph, query, links.nodes, links.count, far.data());
      for (size_t i = 0; i < links.count; i++) {
        if (far[i] >= nearest.first) continue;
        nearest = Hit(far[i], links.nodes[i]);
        moved = true;
      }
    }
  }
  return nearest;
}

// Those of the first `count` nodes that a search may answer.
static std::vector<Node> nodes_of(size_t count, const Everyone&) {
  std::vector<Node> nodes(count);
  for (Node node = 0; node < nodes.size(); node++) nodes[node] = node;
  return nodes;
}

// In the order of labels where only some are allowed: they are looked at alone.
static std::vector<Node> nodes_of(size_t count, const Living& living) {
  std::vector<Node> nodes;
  if (living.allow == nullptr) {
    for (Node node = 0; node < count; node++) {
      if (living(node)) nodes.push_back(node);
    }
    return nodes;
  }
  for (size_t word = 0; word < living.allow_words; word++) {
    for (uint32_t bits = living.allow[word]; bits != 0; bits &= bits - 1) {
      const size_t label = word * 32 + __builtin_ctz(bits);
      if (label >= living.labels) return nodes;
      const Node node = living.node_of[label];
      if (node < count && living.label_of[node] == label) nodes.push_back(node);
    }
  }
  return nodes;
}

// Up to `k` of the nearest of all nodes that pass `test`, nearest first.
template <class View, class Test>
static std::vector<Hit> compare_all(const View& view, const float* query, size_t k, const Test& test) {
  const std::vector<Node> nodes = nodes_of(view.count, test);
  std::vector<float> far(nodes.size());
  distances_to(view.graph, query, nodes.data(), nodes.size(), far.data());
  std::vector<Hit> hits;
  for (size_t i = 0; i < nodes.size(); i++) hits.push_back(Hit(far[i], nodes[i]));
  const size_t some = std::min(k, hits.size());
  std::partial_sort(hits.begin(), hits.begin() + some, hits.end());
  hits.resize(some);
  return hits;
}

// The walk of the lowest layer (Malkov and Yashunin, arXiv 1603.09320, algorithm 2): up to `k` of the `breadth` nearest nodes met that pass
// `test`, nearest first. It goes on until `breadth` were met that no open node is nearer than; where it may meet all, they are compared without it.
template <class View, class Test>
static std::vector<Hit> search(View view, const float* query, size_t k, size_t breadth, const Test& test) {
  const Graph& graph = view.graph;
  if (breadth >= view.count) return compare_all(view, query, k, test);
  const auto nearer_on_top = std::greater<Hit>();
  std::vector<Hit> best, open;
  std::vector<Node> fresh;
  std::vector<float> far;
  best.reserve(std::min(breadth, FIRST_ROOM) + 1);
  open.reserve(FIRST_ROOM);
  fresh.reserve(graph.maxM0_);
  far.reserve(graph.maxM0_);
  float bound = std::numeric_limits<float>::max();
  const auto meet = [&](const Hit& hit) {
    open.push_back(hit);
    std::push_heap(open.begin(), open.end(), nearer_on_top);
    if (!test(hit.second)) return;
    best.push_back(hit);
    std::push_heap(best.begin(), best.end());
    if (best.size() > breadth) {
      std::pop_heap(best.begin(), best.end());
      best.pop_back();
    }
    if (best.size() == breadth) bound = best.front().first;
  };

  hnswlib::VisitedList* visited = graph.visited_list_pool_->getFreeVisitedList();
  hnswlib::vl_type* const seen = visited->mass;
  const hnswlib::vl_type mark = visited->curV;
  // One row after the other is compared fastest with what there is to do with each in between.
  const bool at_once = to_four(graph.fstdistfunc_) != nullptr;
  const Hit entry = descend(view, query);
  seen[entry.second] = mark;
  meet(entry);
  while (!open.empty() && open.front().first <= bound) {
    const Links links = view.links_of(open.front().second, 0);
    std::pop_heap(open.begin(), open.end(), nearer_on_top);
    open.pop_back();
    fresh.clear();
    for (size_t i = 0; i < links.count; i++) __builtin_prefetch(seen + links.nodes[i]);
    for (size_t i = 0; i < links.count; i++) {
      const Node node = links.nodes[i];
      if (seen[node] == mark) continue;
      seen[node] = mark;
      fresh.push_back(node);
      // Those compared first have no comparison before them that could hide the way from memory.
      if (fresh.size() <= ROWS_AT_ONCE) prefetch_row(graph.getDataByInternalId(node), graph.data_size_);
    }
    if (at_once) {
      far.resize(fresh.size());
      distances_to(graph, query, fresh.data(), fresh.size(), far.data());
      for (size_t i = 0; i < fresh.size(); i++) {
        if (far[i] < bound) meet(Hit(far[i], fresh[i]));
      }
    } else {
      for (size_t i = 0; i < fresh.size(); i++) {
        if (i + ROWS_AT_ONCE < fresh.size()) prefetch_row(graph.getDataByInternalId(fresh[i + ROWS_AT_ONCE]), graph.data_size_);
        const float distance = distance_to(graph, query, fresh[i]);
        if (distance < bound) meet(Hit(distance, fresh[i]));
      }
    }
    if (!open.empty()) __builtin_prefetch(graph.get_linklist0(open.front().second));
  }
  graph.visited_list_pool_->releaseVisitedList(visited);
  std::sort_heap(best.begin(), best.end());
  if (best.size() > k) best.resize(k);
  return best;
}

}  // namespace attune
