// How a search sees a graph of hnswlib: one that nothing changes, or one to which other threads add rows meanwhile.
// A node is hnswlib's internal number; it is also the label that hnswlib knows when points were added as 0, 1, 2 and so on.
#pragma once

#include <mutex>
#include <vector>

namespace attune {

typedef hnswlib::HierarchicalNSW<float> Graph;
typedef hnswlib::tableint Node;

struct Links {
  const Node* nodes;
  size_t count;
};

static inline Links links_in(const Graph& graph, Node node, int level) {
  hnswlib::linklistsizeint* list = graph.get_linklist_at_level(node, level);
  return {list + 1, graph.getListCount(list)};
}

// Where walks of a graph begin, on which layer, and how many nodes there are.
struct Extent {
  explicit Extent(const Graph& graph) : entry(graph.enterpoint_node_), top(graph.maxlevel_), count(graph.cur_element_count) {}

  Node entry;
  int top;
  size_t count;
};

class StillGraph : public Extent {
 public:
  explicit StillGraph(const Graph& graph) : Extent(graph), graph(graph) {}

  // Where they are.
  Links links_of(Node node, int level) const { return links_in(graph, node, level); }

  const Graph& graph;
};

// The nodes that were there before rows were added. What hnswlib's addPoint changes of these are their links, each node's with its lock; nodes that are
// on their way have one that is held until they are there, so nobody may go to these.
class GrowingGraph : public Extent {
 public:
  // `before`: as it was before the first of the rows.
  GrowingGraph(Graph& graph, const Extent& before) : Extent(before), graph(graph) {}

  // A copy, which the next call replaces.
  Links links_of(Node node, int level) {
    links_.clear();
    const std::lock_guard<std::mutex> lock(graph.link_list_locks_[node]);
    const Links links = links_in(graph, node, level);
    for (size_t i = 0; i < links.count; i++) {
      if (links.nodes[i] < count) links_.push_back(links.nodes[i]);
    }
    return {links_.data(), links_.size()};
  }

  Graph& graph;

 private:
  std::vector<Node> links_;
};

}  // namespace attune
