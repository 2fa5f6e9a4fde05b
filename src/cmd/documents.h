// SPDX-License-Identifier: Apache-2.0
// What people read about the verbs, made from their definitions: --help, man
// pages (morsel.1 and morsel-VERB.1) and shell completion.
//
// Thread safety: free functions.
#pragma once

#include <string>

#include "cmd/verb.h"

namespace morsel {

std::string OverviewText();
std::string HelpOf(const VerbSpec& verb);
std::string VersionText();

// man(7) source. ManOverview is morsel(1), ManOf morsel-VERB(1).
std::string ManOverview();
std::string ManOf(const VerbSpec& verb);

// A script to be sourced by bash, or by zsh after bashcompinit.
std::string BashCompletion();

}  // namespace morsel
