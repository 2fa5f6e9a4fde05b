// SPDX-License-Identifier: Apache-2.0
// What each verb of `morsel` does: the functions that the table in verbs.cc
// names. Each returns the exit code, or the error that main prints.
#pragma once

#include "base/result.h"
#include "cmd/tool.h"
#include "cmd/verb.h"

namespace morsel {

// verbs_images.cc
Result<int> RunConvert(Tool& tool, const Arguments& arguments);
Result<int> RunInspect(Tool& tool, const Arguments& arguments);
Result<int> RunVerify(Tool& tool, const Arguments& arguments);
Result<int> RunImages(Tool& tool, const Arguments& arguments);
Result<int> RunTag(Tool& tool, const Arguments& arguments);
Result<int> RunRm(Tool& tool, const Arguments& arguments);

// verbs_devices.cc
Result<int> RunAttach(Tool& tool, const Arguments& arguments);
Result<int> RunDetach(Tool& tool, const Arguments& arguments);
Result<int> RunMount(Tool& tool, const Arguments& arguments);
Result<int> RunUmount(Tool& tool, const Arguments& arguments);
Result<int> RunAgent(Tool& tool, const Arguments& arguments);

// verb_run.cc
Result<int> RunRun(Tool& tool, const Arguments& arguments);

// verb_record.cc
Result<int> RunRecord(Tool& tool, const Arguments& arguments);

// verbs_stat.cc
Result<int> RunStat(Tool& tool, const Arguments& arguments);
Result<int> RunTop(Tool& tool, const Arguments& arguments);

// verbs_keys.cc
Result<int> RunKeys(Tool& tool, const Arguments& arguments);

// verbs_gc.cc
Result<int> RunGc(Tool& tool, const Arguments& arguments);

// verbs_admin.cc
Result<int> RunRoots(Tool& tool, const Arguments& arguments);
Result<int> RunDoctor(Tool& tool, const Arguments& arguments);
Result<int> RunCompletion(Tool& tool, const Arguments& arguments);
Result<int> RunMan(Tool& tool, const Arguments& arguments);

// The value of --overlay, "" if it was not given. kInvalid: given and empty,
// which would keep nothing of what the user wants kept.
Result<std::string> OverlayName(const Arguments& arguments);

struct ConvertWords {
  std::string source;
  std::string name;      // "": the source's own
  std::string platform;  // "": this machine's
  bool rewrite = false;  // UploadOptions::rewrite
  bool report = false;   // print what was done
};
// Converts as the verb convert does: shared with run.
Result<ImageName> ConvertSource(Tool& tool, const ConvertWords& words);

}  // namespace morsel
