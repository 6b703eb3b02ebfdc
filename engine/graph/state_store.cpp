// StateStore: creation, initial values, snapshots.
#include "engine/graph/state_store.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/core/philox.h"
#include "engine/core/suggest.h"

namespace dermatome {
namespace {

// FNV-1a, so that a name's random stream is the same on every machine.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

// Box-Muller; u1 is kept off zero.
double normal(Philox& random) {
  const double u1 = (static_cast<double>(random.next()) + 0.5) * 0x1p-32;
  const double u2 = static_cast<double>(random.next()) * 0x1p-32;
  return std::sqrt(-2.0 * std::log(u1)) * std::cos(2.0 * std::numbers::pi * u2);
}

double draw(const Initializer& initializer, Philox& random) {
  switch (initializer.kind) {
    case Initializer::Kind::constant: return initializer.value;
    case Initializer::Kind::normal: return initializer.value * normal(random);
    case Initializer::Kind::uniform: {
      const double u = static_cast<double>(random.next()) * 0x1p-32;
      return initializer.value * (2.0 * u - 1.0);
    }
  }
  return 0;
}

template <typename T>
void fill_initial(std::span<T> values, const Initializer& initializer, Philox random) {
  // Rounded to f32 first, so that an f64 net starts from the same values as an f32 one.
  for (T& value : values) value = static_cast<T>(static_cast<float>(draw(initializer, random)));
}

}  // namespace

Tensor initial_value(const StateDeclaration& declaration, std::uint64_t seed) {
  Tensor tensor(declaration.desc);
  const Philox random(seed, hash_of(declaration.name));
  switch (declaration.desc.type) {
    case DType::f32: fill_initial(tensor.as<float>(), declaration.initializer, random); break;
    case DType::f64: fill_initial(tensor.as<double>(), declaration.initializer, random); break;
    case DType::i32: fill_initial(tensor.as<std::int32_t>(), declaration.initializer, random); break;
    default: fail("state '{}' cannot be of type {}", declaration.name, name_of(declaration.desc.type));
  }
  return tensor;
}

void StateStore::create(const std::vector<StateDeclaration>& declarations, std::uint64_t seed) {
  for (const auto& declaration : declarations) {
    if (const auto found = states_.find(declaration.name); found != states_.end()) {
      DERMATOME_CHECK(found->second->tensor.desc() == declaration.desc, "state '{}' is {} but the graph needs {}",
                      declaration.name, to_string(found->second->tensor.desc()), to_string(declaration.desc));
      found->second->group = declaration.group;
      found->second->trainable = declaration.trainable;
      continue;
    }
    State state{.name = declaration.name,
                .tensor = initial_value(declaration, seed).to(device_),
                .group = declaration.group,
                .trainable = declaration.trainable,
                .prepared = {}};
    order_.push_back(declaration.name);
    states_.emplace(declaration.name, std::make_shared<State>(std::move(state)));
  }
}

void StateStore::adopt(const StateDeclaration& declaration, const Tensor& contents) {
  DERMATOME_CHECK(!contains(declaration.name), "state '{}' exists already", declaration.name);
  DERMATOME_CHECK(declaration.desc == contents.desc(), "state '{}' is {} and cannot take {}", declaration.name,
                  to_string(declaration.desc), to_string(contents.desc()));
  order_.push_back(declaration.name);
  states_.emplace(declaration.name, std::make_shared<State>(State{.name = declaration.name,
                                                                  .tensor = contents.to(device_),
                                                                  .group = declaration.group,
                                                                  .trainable = declaration.trainable,
                                                                  .prepared = {}}));
}

void StateStore::create_contiguous(const std::vector<StateDeclaration>& declarations) {
  constexpr std::size_t kAlignment = 64;
  std::size_t total = 0;
  std::vector<std::size_t> offsets;
  for (const auto& declaration : declarations) {
    DERMATOME_CHECK(!contains(declaration.name), "state '{}' exists already", declaration.name);
    offsets.push_back(total);
    total += (declaration.desc.bytes() + kAlignment - 1) / kAlignment * kAlignment;
  }
  const Tensor storage({DType::u8, {static_cast<std::int64_t>(total)}}, device_);
  storage.zero();
  for (std::size_t i = 0; i < declarations.size(); ++i) {
    const auto& declaration = declarations[i];
    order_.push_back(declaration.name);
    states_.emplace(declaration.name,
                    std::make_shared<State>(State{.name = declaration.name,
                                                  .tensor = storage.view(offsets[i], declaration.desc),
                                                  .group = declaration.group,
                                                  .trainable = declaration.trainable,
                                                  .prepared = {}}));
  }
}

bool StateStore::contains(std::string_view name) const {
  return states_.find(name) != states_.end();
}

std::shared_ptr<State> StateStore::share(std::string_view name) {
  const auto found = states_.find(name);
  if (found == states_.end()) fail("there is no state '{}'{}", name, did_you_mean(name, order_));
  return found->second;
}

State& StateStore::get(std::string_view name) {
  return *share(name);
}

const State& StateStore::get(std::string_view name) const {
  return const_cast<StateStore*>(this)->get(name);
}

std::vector<std::string> StateStore::names() const {
  return order_;
}

void StateStore::remove(std::string_view name) {
  const auto found = states_.find(name);
  if (found == states_.end()) return;
  order_.erase(std::find(order_.begin(), order_.end(), name));
  found->second->removed = true;
  states_.erase(found);
}

Tensor StateStore::read(std::string_view name) const {
  const Tensor& tensor = get(name).tensor;
  Tensor copy(tensor.desc());
  copy.copy_from(tensor);
  return copy;
}

void StateStore::write(std::string_view name, const Tensor& contents) {
  State& state = get(name);
  DERMATOME_CHECK(state.tensor.desc() == contents.desc(), "state '{}' is {} and cannot take {}", name,
                  to_string(state.tensor.desc()), to_string(contents.desc()));
  state.tensor.copy_from(contents);
  ++state.version;
}

std::shared_ptr<PreparedCopy> StateStore::prepared(std::string_view name, const std::string& layout,
                                                   std::size_t bytes) {
  State& state = get(name);
  auto& copy = state.prepared[layout];
  if (copy == nullptr) copy = std::make_shared<PreparedCopy>(PreparedCopy{Buffer(device_, bytes)});
  DERMATOME_CHECK(copy->buffer.bytes() == bytes, "layout {} of state '{}' has two sizes: {} and {} bytes", layout, name,
                  copy->buffer.bytes(), bytes);
  return copy;
}

Snapshot StateStore::snapshot() const {
  Snapshot snapshot;
  for (const auto& name : order_) snapshot.tensors.emplace_back(name, read(name));
  return snapshot;
}

void StateStore::restore(const Snapshot& snapshot) {
  for (const auto& [name, tensor] : snapshot.tensors) {
    DERMATOME_CHECK(get(name).tensor.desc() == tensor.desc(), "state '{}' is {} but the snapshot holds {}", name,
                    to_string(get(name).tensor.desc()), to_string(tensor.desc()));
  }
  for (const auto& name : names()) {
    const bool known = std::any_of(snapshot.tensors.begin(), snapshot.tensors.end(),
                                   [&](const auto& entry) { return entry.first == name; });
    if (!known) remove(name);
  }
  for (const auto& [name, tensor] : snapshot.tensors) write(name, tensor);
}

std::size_t StateStore::bytes() const {
  std::size_t total = 0;
  for (const auto& [name, state] : states_) total += state->tensor.bytes();
  return total;
}

std::size_t StateStore::prepared_bytes() const {
  std::size_t total = 0;
  for (const auto& [name, state] : states_) {
    for (const auto& [layout, copy] : state->prepared) total += copy->buffer.bytes();
  }
  return total;
}

}  // namespace dermatome
