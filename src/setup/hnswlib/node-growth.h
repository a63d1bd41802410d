// Batches of rows (graph-growth.h) as JavaScript begins them and hears of their end.
#pragma once

#include <algorithm>
#include <memory>
#include <napi.h>
#include <string>

namespace attune {

// What there is to know of a batch until its end is told.
struct BatchUnderWay {
  std::shared_ptr<Batch> batch;
  napi_threadsafe_function tell = nullptr;
};

// Before the environment ends, the threads do.
static void wait_for_batch(void* data) { static_cast<BatchUnderWay*>(data)->batch->wait(); }

static void forget_batch(napi_env env, void* data, void*) {
  BatchUnderWay* const under_way = static_cast<BatchUnderWay*>(data);
  napi_remove_env_cleanup_hook(env, wait_for_batch, under_way);
  delete under_way;
}

// Calls `done(rowOf, problem)`, unless the environment is about to end, which makes no values any more; node-addon-api would end the process then.
static void tell_of_batch(napi_env env, napi_value done, void* context, void*) {
  if (env == nullptr) return;
  Batch& batch = *static_cast<BatchUnderWay*>(context)->batch;
  batch.wait();
  batch.told = true;
  const size_t count = batch.row_of.size();
  void* numbers = nullptr;
  napi_value buffer, row_of, problem;
  if (napi_create_arraybuffer(env, count * sizeof(uint32_t), &numbers, &buffer) != napi_ok) return;
  std::copy(batch.row_of.begin(), batch.row_of.end(), static_cast<uint32_t*>(numbers));
  if (napi_create_typedarray(env, napi_uint32_array, count, buffer, 0, &row_of) != napi_ok) return;
  if (batch.failure.empty()) return call_back(env, done, {row_of});
  const std::string message = "Hnswlib Error: " + batch.failure;
  if (napi_create_string_utf8(env, message.data(), message.size(), &problem) == napi_ok) call_back(env, done, {row_of, problem});
}

// addNodes(rows, threads, giveWay, done): adds rows as the next nodes, whose labels stay their numbers, by so many threads that go on after this returns,
// and rest for a moment each millisecond where they give way. Until `done(rowOf, problem)` is called, `searchNodes` finds the nodes that were there
// before, and nothing else may be asked of the graph; `rowOf[i]` is then the number of the row that became the i-th of them, unless there was a problem.
static std::shared_ptr<Batch> add_nodes(const Napi::CallbackInfo& info, Graph* graph) {
  const Napi::Env env = info.Env();
  const bool typed = graph != nullptr && info.Length() == 4 && is_float32_array(info[0]) && info[1].IsNumber() && info[2].IsBoolean() && info[3].IsFunction();
  const size_t count = typed ? size_of(info[0]) / dimensions_of(*graph) : 0;
  const bool fits = typed && graph->cur_element_count + count <= graph->max_elements_;
  if (refuse(env, fits, "rows that the graph has room for, threads, whether they give way, and a function to tell of their end")) return nullptr;
  const auto batch = std::make_shared<Batch>(*graph, floats_of(info[0]), count, number_of(info[1]), info[2].As<Napi::Boolean>().Value());
  BatchUnderWay* const under_way = new BatchUnderWay{batch};
  const napi_value name = Napi::String::New(env, "attune batch");
  napi_create_threadsafe_function(
    env, info[3], nullptr, name, 0, 1, under_way, forget_batch, under_way, tell_of_batch, &under_way->tell);
  napi_add_env_cleanup_hook(env, wait_for_batch, under_way);
  batch->start([tell = under_way->tell] {
    if (napi_call_threadsafe_function(tell, nullptr, napi_tsfn_nonblocking) != napi_closing) {
      napi_release_threadsafe_function(tell, napi_tsfn_release);
    }
  });
  return batch;
}

}  // namespace attune
