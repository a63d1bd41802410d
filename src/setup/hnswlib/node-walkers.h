// `Walkers` (walkers.h) as JavaScript has it. It belongs to the thread that made it.
#pragma once

#include <memory>
#include <napi.h>

namespace attune {

class NodeWalkers : public Napi::ObjectWrap<NodeWalkers> {
 public:
  static void Init(Napi::Env env, Napi::Object exports) {
    exports.Set("Walkers", DefineClass(env, "Walkers", {
      InstanceMethod("ask", &NodeWalkers::ask),
      InstanceMethod("watch", &NodeWalkers::watch),
      InstanceMethod("wait", &NodeWalkers::wait),
      InstanceMethod("take", &NodeWalkers::take),
    }));
  }

  // new Walkers(threads, tell): at most so many threads, which are made as they are needed; see `Walkers` for `tell`.
  NodeWalkers(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NodeWalkers>(info) {
    const Napi::Env env = info.Env();
    const bool fits = info.Length() == 2 && info[0].IsNumber() && number_of(info[0]) > 0 && info[1].IsFunction();
    if (refuse(env, fits, "a number of threads and a function to tell of answers")) return;
    env_ = env;
    const napi_value name = Napi::String::New(env, "attune walkers");
    napi_create_threadsafe_function(env, info[1], nullptr, name, 0, 1, nullptr, nullptr, nullptr, call, &tell_);
    napi_unref_threadsafe_function(env, tell_);
    walkers_ = std::make_unique<Walkers>(number_of(info[0]), [this] { napi_call_threadsafe_function(tell_, nullptr, napi_tsfn_nonblocking); });
    napi_add_env_cleanup_hook(env_, end, this);
  }

  ~NodeWalkers() {
    if (walkers_ == nullptr) return;
    napi_remove_env_cleanup_hook(env_, end, this);
    walkers_.reset();
    napi_release_threadsafe_function(tell_, napi_tsfn_release);
  }

 private:
  // Tells in the thread of JavaScript, unless that is about to end.
  static void call(napi_env env, napi_value tell, void*, void*) {
    if (env != nullptr) call_back(env, tell);
  }

  // The threads end before what they tell does.
  static void end(void* self) { static_cast<NodeWalkers*>(self)->walkers_.reset(); }

  // ask(id, number, query, k, breadth, cost, labelOf?, nodeOf?, allow?): a search in the graph shared by this number, see `searchNodes`, that takes about
  // `cost` microseconds. The query is copied; maps and what is allowed have to stay as they are until it is answered. Those that compare with the same
  // nodes (the same memory says which) are answered together. False when the graph is no longer shared, or there is no thread to be had.
  Napi::Value ask(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const bool typed = info.Length() == 9 && info[0].IsNumber() && info[1].IsNumber() && is_float32_array(info[2]) && info[3].IsNumber() &&
                       info[4].IsNumber() && info[5].IsNumber() && is_living(info, 6);
    if (refuse(env, typed && walkers_ != nullptr, "an id, a graph, a query, k, a breadth, a cost, maps of the living and what is allowed")) {
      return env.Null();
    }
    std::unique_ptr<AskedSearch> search = spare();
    search->id = info[0].As<Napi::Number>().DoubleValue();
    search->shared = shared_graphs().find(number_of(info[1]));
    if (search->shared == nullptr) return Napi::Boolean::New(env, false);
    search->k = number_of(info[3]);
    search->breadth = std::max<size_t>({search->k, number_of(info[4]), 1});
    search->cost = info[5].As<Napi::Number>().DoubleValue();
    search->all = info[6].IsUndefined();
    if (!search->all) search->living = living_of(info, 6);
    {
      const std::shared_lock<std::shared_mutex> lock(search->shared->searching);
      const Graph* graph = search->shared->graph;
      if (graph == nullptr) return Napi::Boolean::New(env, false);
      const bool fits = size_of(info[2]) == dimensions_of(*graph) && (search->all || size_of(info[6]) >= graph->cur_element_count);
      if (refuse(env, fits, "a query of the graph's dimensions, and a map with a place for each node")) return env.Null();
      search->compares = search->breadth >= graph->cur_element_count;
    }
    search->query.assign(floats_of(info[2]), floats_of(info[2]) + size_of(info[2]));
    search->hits.reserve(search->k);
    if (!walkers_->ask(std::move(search))) return Napi::Boolean::New(env, false);
    if (open_++ == 0) napi_ref_threadsafe_function(env, tell_);
    return Napi::Boolean::New(env, true);
  }

  // For the next search, with the memory of one that was taken.
  std::unique_ptr<AskedSearch> spare() {
    if (spare_.empty()) return std::make_unique<AskedSearch>();
    std::unique_ptr<AskedSearch> search = std::move(spare_.back());
    spare_.pop_back();
    search->hits.clear();
    return search;
  }

  Napi::Value watch(const Napi::CallbackInfo& info) {
    if (!refuse(info.Env(), info.Length() == 1 && info[0].IsBoolean() && walkers_ != nullptr, "whether somebody looks for answers")) {
      walkers_->watch(info[0].As<Napi::Boolean>().Value());
    }
    return info.Env().Undefined();
  }

  Napi::Value wait(const Napi::CallbackInfo& info) {
    if (!refuse(info.Env(), info.Length() == 1 && info[0].IsNumber() && walkers_ != nullptr, "microseconds")) {
      walkers_->wait(info[0].As<Napi::Number>().DoubleValue());
    }
    return info.Env().Undefined();
  }

  // take(ids, counts, nodes, distances): as many answers as `ids` has room for, and returns how many. Of the i-th, `counts[i]` hits (-1 when the graph
  // is no longer shared) stand from `i * nodes.length / ids.length` on; those beyond that room are left out.
  Napi::Value take(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const bool typed = info.Length() == 4 && info[0].IsTypedArray() &&
                       info[0].As<Napi::TypedArray>().TypedArrayType() == napi_float64_array && info[1].IsTypedArray() &&
                       info[1].As<Napi::TypedArray>().TypedArrayType() == napi_int32_array && is_uint32_array(info[2]) &&
                       is_float32_array(info[3]) && walkers_ != nullptr;
    const size_t most = typed ? size_of(info[0]) : 0;
    const bool fits = most > 0 && size_of(info[1]) >= most && size_of(info[3]) >= size_of(info[2]);
    if (refuse(env, fits, "room for ids, counts, nodes and distances")) return env.Null();
    const size_t room = size_of(info[2]) / most;
    double* ids = info[0].As<Napi::Float64Array>().Data();
    int32_t* counts = info[1].As<Napi::Int32Array>().Data();
    uint32_t* nodes = integers_of(info[2]);
    float* distances = floats_of(info[3]);
    size_t taken = 0;
    for (std::unique_ptr<AskedSearch>& search : walkers_->take(most)) {
      const size_t count = std::min(search->hits.size(), room);
      ids[taken] = search->id;
      counts[taken] = search->answered ? static_cast<int32_t>(count) : -1;
      for (size_t j = 0; j < count; j++) {
        nodes[taken * room + j] = search->hits[j].second;
        distances[taken * room + j] = search->hits[j].first;
      }
      taken++;
      search->shared.reset();
      if (spare_.size() < MOST_SPARE) spare_.push_back(std::move(search));
    }
    open_ -= taken;
    if (open_ == 0 && taken > 0) napi_unref_threadsafe_function(env, tell_);
    return Napi::Number::New(env, taken);
  }

  std::unique_ptr<Walkers> walkers_;
  napi_threadsafe_function tell_ = nullptr;
  static constexpr size_t MOST_SPARE = 64;
  std::vector<std::unique_ptr<AskedSearch>> spare_;
  // Asked and not taken: they keep the event loop alive.
  size_t open_ = 0;
  napi_env env_ = nullptr;
};

}  // namespace attune
