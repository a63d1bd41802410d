// What of graph-search.h, shared-graph.h and json-numbers.h is offered to JavaScript, over typed arrays that the caller gives. Arguments that do not fit are
// refused by a TypeError before anything is read through them.
#pragma once

#include <cstring>
#include <malloc.h>
#include <napi.h>
#include <string>
#include <vector>

namespace attune {

static inline bool is_float32_array(const Napi::Value& value) {
  return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_float32_array;
}

static inline bool is_uint32_array(const Napi::Value& value) {
  return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_uint32_array;
}

static inline bool is_uint8_array(const Napi::Value& value) {
  return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
}

static inline size_t size_of(const Napi::Value& value) { return value.As<Napi::TypedArray>().ElementLength(); }
static inline float* floats_of(const Napi::Value& value) { return value.As<Napi::Float32Array>().Data(); }
static inline uint32_t* integers_of(const Napi::Value& value) { return value.As<Napi::Uint32Array>().Data(); }
static inline uint32_t number_of(const Napi::Value& value) { return value.As<Napi::Number>().Uint32Value(); }

static inline bool refuse(const Napi::Env& env, bool fits, const char* expected) {
  if (!fits) Napi::TypeError::New(env, std::string("Expected ") + expected).ThrowAsJavaScriptException();
  return !fits;
}

// Calls a function of JavaScript from the event loop. What it throws nobody catches; node-addon-api's own way would end the process then.
static inline void call_back(napi_env env, napi_value function, const std::vector<napi_value>& arguments = {}) {
  napi_value receiver, error;
  if (napi_get_undefined(env, &receiver) != napi_ok) return;
  if (napi_call_function(env, receiver, function, arguments.size(), arguments.data(), nullptr) != napi_pending_exception) return;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

static inline size_t dimensions_of(const Graph& graph) { return graph.data_size_ / sizeof(float); }

// Whether the arguments from `first` on are maps of the living and what is allowed of them, which may each be left out (`undefined`).
static inline bool is_living(const Napi::CallbackInfo& info, size_t first) {
  const bool all = info[first].IsUndefined();
  const bool has_maps = is_uint32_array(info[first]) && is_uint32_array(info[first + 1]);
  const bool allows_all = info[first + 2].IsUndefined();
  return all ? allows_all : has_maps && (allows_all || is_uint32_array(info[first + 2]));
}

static inline Living living_of(const Napi::CallbackInfo& info, size_t first) {
  const bool filtered = !info[first + 2].IsUndefined();
  return Living{integers_of(info[first]), integers_of(info[first + 1]), size_of(info[first + 1]),
                filtered ? integers_of(info[first + 2]) : nullptr, filtered ? size_of(info[first + 2]) : 0};
}

// Searches as `searchNodes` does; its arguments begin at `first`.
template <class View>
static Napi::Value search_from(const Napi::CallbackInfo& info, size_t first, View view) {
  const Napi::Env env = info.Env();
  const auto argument = [&](size_t i) { return info[first + i]; };
  const bool typed = info.Length() == first + 8 && is_float32_array(argument(0)) && argument(1).IsNumber() && argument(2).IsNumber() &&
                     is_living(info, first + 3) && is_uint32_array(argument(6)) && is_float32_array(argument(7));
  const bool all = typed && argument(3).IsUndefined();
  const size_t k = typed ? number_of(argument(1)) : 0;
  const bool fits = typed && size_of(argument(0)) == dimensions_of(view.graph) && size_of(argument(6)) >= k && size_of(argument(7)) >= k &&
                    (all || size_of(argument(3)) >= view.count);
  if (refuse(env, fits, "a query, k, a breadth, maps of the living and what is allowed, and room for k results")) return env.Null();
  const float* query = floats_of(argument(0));
  const size_t breadth = std::max<size_t>({k, number_of(argument(2)), 1});
  std::vector<Hit> hits;
  if (all) {
    hits = search(view, query, k, breadth, Everyone());
  } else {
    hits = search(view, query, k, breadth, living_of(info, first + 3));
  }
  for (size_t i = 0; i < hits.size(); i++) {
    floats_of(argument(7))[i] = hits[i].first;
    integers_of(argument(6))[i] = hits[i].second;
  }
  return Napi::Number::New(env, hits.size());
}

// searchNodes(query, k, breadth, labelOf?, nodeOf?, allow?, nodes, distances): writes up to k nodes and their distances, nearest first, and
// returns how many. With `labelOf` (node -> label) and `nodeOf` (label -> node), only living nodes, see `Living`. While rows are added, `before` is
// what the graph was without them, and their nodes are left out.
static Napi::Value search_nodes(const Napi::CallbackInfo& info, Graph* graph, const Extent* before) {
  if (refuse(info.Env(), graph != nullptr, "a graph that is there")) return info.Env().Null();
  return before == nullptr ? search_from(info, 0, StillGraph(*graph)) : search_from(info, 0, GrowingGraph(*graph, *before));
}

// searchShared(number, ...): `searchNodes` in the graph that a thread has shared by this number, or -1 when it is no longer shared.
static Napi::Value search_shared(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (refuse(env, info.Length() > 0 && info[0].IsNumber(), "the number of a shared graph")) return env.Null();
  const std::shared_ptr<SharedGraph> shared = shared_graphs().find(number_of(info[0]));
  if (shared == nullptr) return Napi::Number::New(env, -1);
  const std::shared_lock<std::shared_mutex> lock(shared->searching);
  const Graph* graph = shared->graph;
  return graph == nullptr ? Napi::Number::New(env, -1) : search_from(info, 1, StillGraph(*graph));
}

// setNodes(first, rows): the rows become the vectors of the nodes from `first` on; links stay as they are.
static Napi::Value set_nodes(const Napi::CallbackInfo& info, Graph* graph) {
  const Napi::Env env = info.Env();
  const bool typed = graph != nullptr && info.Length() == 2 && info[0].IsNumber() && is_float32_array(info[1]);
  const size_t first = typed ? number_of(info[0]) : 0;
  const size_t count = typed ? size_of(info[1]) / dimensions_of(*graph) : 0;
  const bool fits = typed && first + count <= graph->cur_element_count;
  if (refuse(env, fits, "a node and rows for it and those after it that the graph has")) return env.Null();
  for (size_t i = 0; i < count; i++) {
    std::memcpy(graph->getDataByInternalId(first + i), floats_of(info[1]) + i * dimensions_of(*graph), graph->data_size_);
  }
  return env.Undefined();
}

// compareNodes(queries, nodes, distances): the distance of each query to each node's row, query by query.
static Napi::Value compare_nodes(const Napi::CallbackInfo& info, const Graph* graph) {
  const Napi::Env env = info.Env();
  const bool typed = graph != nullptr && info.Length() == 3 && is_float32_array(info[0]) && is_uint32_array(info[1]) &&
                     is_float32_array(info[2]);
  const size_t count = typed ? size_of(info[0]) / dimensions_of(*graph) : 0;
  const size_t rows = typed ? size_of(info[1]) : 0;
  const uint32_t* nodes = typed ? integers_of(info[1]) : nullptr;
  const bool fits = typed && size_of(info[2]) >= count * rows &&
                    std::all_of(nodes, nodes + rows, [&](uint32_t node) { return node < graph->cur_element_count; });
  if (refuse(env, fits, "queries, nodes of the graph, and room for queries x nodes distances")) return env.Null();
  distances(
    graph->fstdistfunc_, graph->dist_func_param_, floats_of(info[0]), count,
    [&](size_t i) { return graph->getDataByInternalId(nodes[i]); }, rows, floats_of(info[2]));
  return env.Undefined();
}

// useHugePages(array): asks for huge pages for the memory of a new Float32Array, if it is large enough for some.
static Napi::Value use_huge_pages_for(const Napi::CallbackInfo& info) {
  if (refuse(info.Env(), info.Length() == 1 && is_float32_array(info[0]), "a Float32Array")) return info.Env().Null();
  use_huge_pages(floats_of(info[0]), info[0].As<Napi::TypedArray>().ByteLength());
  return info.Env().Undefined();
}

// trimMemory(): gives memory of the process that nobody has back to the system, where its malloc can. Takes some milliseconds, in which other threads may wait for memory.
static Napi::Value trim_memory(const Napi::CallbackInfo& info) {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
  return info.Env().Undefined();
}

// readJsonNumbers(bytes, start, end, into): reads the numbers of a JSON array that stand from `start` to `end`, its brackets left out, into a Float32Array, and
// returns how many; 0 where they have to be read in another way (json-numbers.h).
static Napi::Value read_json_numbers_into(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const bool typed = info.Length() == 4 && is_uint8_array(info[0]) && info[1].IsNumber() && info[2].IsNumber() && is_float32_array(info[3]);
  const size_t start = typed ? number_of(info[1]) : 0;
  const size_t end = typed ? number_of(info[2]) : 0;
  const bool fits = typed && start <= end && end <= size_of(info[0]);
  if (refuse(env, fits, "bytes, two places in them, and a Float32Array")) return env.Null();
  const char* const bytes = reinterpret_cast<const char*>(info[0].As<Napi::Uint8Array>().Data());
  return Napi::Number::New(env, read_json_numbers(bytes + start, bytes + end, floats_of(info[3]), size_of(info[3])));
}

// compareRows(space, dimensions, queries, rows, distances): the distance of each query to each row, query by query.
static Napi::Value compare_rows(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const bool typed = info.Length() == 5 && info[0].IsString() && info[1].IsNumber() && is_float32_array(info[2]) &&
                     is_float32_array(info[3]) && is_float32_array(info[4]);
  const size_t dimensions = typed ? number_of(info[1]) : 0;
  const size_t count = dimensions > 0 ? size_of(info[2]) / dimensions : 0;
  const size_t rows = dimensions > 0 ? size_of(info[3]) / dimensions : 0;
  const bool fits = dimensions > 0 && size_of(info[4]) >= count * rows;
  if (refuse(env, fits, "a space, dimensions, queries, rows, and room for queries x rows distances")) return env.Null();
  hnswlib::L2Space l2(dimensions);
  hnswlib::InnerProductSpace ip(dimensions);
  const bool is_l2 = info[0].As<Napi::String>().Utf8Value() == "l2";
  const char* block = reinterpret_cast<const char*>(floats_of(info[3]));
  distances(
    is_l2 ? l2.get_dist_func() : ip.get_dist_func(), &dimensions, floats_of(info[2]), count,
    [&](size_t i) { return block + i * dimensions * sizeof(float); }, rows, floats_of(info[4]));
  return env.Undefined();
}

}  // namespace attune
