// Searches in a graph of hnswlib and comparisons with its rows, offered beside hnswlib's own (node-methods.h): the same answers as
// HierarchicalNSW::searchKnn, with rows asked of memory before they are compared, and with a filter that is bits, not a callback.
// A node is hnswlib's internal number; it is also the label that hnswlib knows when points were added as 0, 1, 2 and so on.
#pragma once

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace attune {

typedef hnswlib::HierarchicalNSW<float> Graph;
typedef hnswlib::tableint Node;
typedef std::pair<float, Node> Hit;

// So many rows ahead of the one being compared are asked of memory, and of each the beginning: what follows in a row, memory sees
// coming by itself. Measured with rows of 100 and of 512 numbers.
constexpr size_t ROWS_AHEAD = 4;
constexpr size_t LINES_AHEAD = 4;
constexpr size_t LINE_BYTES = 64;

static inline void prefetch_row(const char* row, size_t bytes) {
  for (size_t i = 0; i < LINES_AHEAD && i * LINE_BYTES < bytes; i++) __builtin_prefetch(row + i * LINE_BYTES);
}

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
};

struct Everyone {
  bool operator()(Node) const { return true; }
};

static inline float distance_to(const Graph& graph, const float* query, Node node) {
  return graph.fstdistfunc_(query, graph.getDataByInternalId(node), graph.dist_func_param_);
}

struct Links {
  const Node* nodes;
  size_t count;
};

static inline Links links_of(const Graph& graph, Node node, int level) {
  hnswlib::linklistsizeint* list = graph.get_linklist_at_level(node, level);
  return {list + 1, graph.getListCount(list)};
}

// The node at which the walk of the lowest layer begins: from the entry point greedily down the layers above.
static Hit descend(const Graph& graph, const float* query) {
  Hit nearest(distance_to(graph, query, graph.enterpoint_node_), graph.enterpoint_node_);
  for (int level = graph.maxlevel_; level > 0; level--) {
    for (bool moved = true; moved;) {
      moved = false;
      const Links links = links_of(graph, nearest.second, level);
      for (size_t i = 0; i < links.count; i++) prefetch_row(graph.getDataByInternalId(links.nodes[i]), graph.data_size_);
      for (size_t i = 0; i < links.count; i++) {
        const float distance = distance_to(graph, query, links.nodes[i]);
        if (distance >= nearest.first) continue;
        nearest = Hit(distance, links.nodes[i]);
        moved = true;
      }
    }
  }
  return nearest;
}

// The walk of the lowest layer (Malkov and Yashunin, arXiv 1603.09320, algorithm 2): up to `k` of the `breadth` nearest nodes met that pass
// `test`, nearest first. It goes on until `breadth` were met that no open node is nearer than.
template <class Test>
static std::vector<Hit> search(const Graph& graph, const float* query, size_t k, size_t breadth, const Test& test) {
  if (graph.cur_element_count == 0) return {};
  const auto nearer_on_top = std::greater<Hit>();
  std::vector<Hit> best, open;
  std::vector<Node> fresh;
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
  const Hit entry = descend(graph, query);
  seen[entry.second] = mark;
  meet(entry);
  while (!open.empty() && open.front().first <= bound) {
    const Links links = links_of(graph, open.front().second, 0);
    std::pop_heap(open.begin(), open.end(), nearer_on_top);
    open.pop_back();
    fresh.clear();
    for (size_t i = 0; i < links.count; i++) __builtin_prefetch(seen + links.nodes[i]);
    for (size_t i = 0; i < links.count; i++) {
      const Node node = links.nodes[i];
      if (seen[node] == mark) continue;
      seen[node] = mark;
      fresh.push_back(node);
      if (fresh.size() <= ROWS_AHEAD) prefetch_row(graph.getDataByInternalId(node), graph.data_size_);
    }
    for (size_t i = 0; i < fresh.size(); i++) {
      if (i + ROWS_AHEAD < fresh.size()) {
        prefetch_row(graph.getDataByInternalId(fresh[i + ROWS_AHEAD]), graph.data_size_);
      }
      const float distance = distance_to(graph, query, fresh[i]);
      if (distance < bound) meet(Hit(distance, fresh[i]));
    }
    if (!open.empty()) __builtin_prefetch(graph.get_linklist0(open.front().second));
  }
  graph.visited_list_pool_->releaseVisitedList(visited);
  std::sort_heap(best.begin(), best.end());
  if (best.size() > k) best.resize(k);
  return best;
}

// The distance of each of `queries` (count x dimensions) to each of `rows`, into `distances` (count x rows): row by row, so that a row comes
// from memory once for all queries. `row_at(i)` is the address of a row.
template <class RowAt>
static void compare(hnswlib::DISTFUNC<float> distance, const void* dimensions, const float* queries, size_t count, RowAt row_at,
                    size_t rows, float* distances) {
  const size_t width = *static_cast<const size_t*>(dimensions);
  for (size_t i = 0; i < rows; i++) {
    if (i + ROWS_AHEAD < rows) prefetch_row(row_at(i + ROWS_AHEAD), width * sizeof(float));
    const char* row = row_at(i);
    for (size_t q = 0; q < count; q++) distances[q * rows + i] = distance(queries + q * width, row, dimensions);
  }
}

}  // namespace attune
