// SPDX-License-Identifier: Apache-2.0
#include "cmd/verb.h"

namespace morsel {

bool Arguments::Has(std::string_view name) const {
  return values_.find(name) != values_.end();
}

std::string Arguments::Get(std::string_view name) const {
  const auto it = values_.find(name);
  return it == values_.end() ? "" : it->second.back();
}

std::vector<std::string> Arguments::List(std::string_view name) const {
  const auto it = values_.find(name);
  return it == values_.end() ? std::vector<std::string>() : it->second;
}

void Arguments::Add(std::string_view name, std::string value) {
  values_[std::string(name)].push_back(std::move(value));
}

}  // namespace morsel
