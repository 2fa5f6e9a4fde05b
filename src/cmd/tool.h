// SPDX-License-Identifier: Apache-2.0
// What the verbs of `morsel` share: settings, the origin, the key service, and
// how results and errors are printed. Opened on first use, so that a verb
// touches only what it needs.
//
// Thread safety: owned by main.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/config.h"
#include "base/json.h"
#include "base/result.h"
#include "cmd/verb.h"
#include "keys/key_service.h"
#include "origin/origin.h"
#include "store/object_store.h"

namespace morsel {

class Tool {
 public:
  // Reads the settings, with the common options over them.
  static Result<std::unique_ptr<Tool>> Make(const Arguments& arguments);

  Config& config() { return config_; }
  bool quiet() const { return quiet_; }
  bool json() const { return json_; }
  bool draws_progress() const;

  // The origin for reading (it must exist) or writing (it is made). For
  // writing, a missing key file is made if the origin has no root yet.
  Result<Origin*> OpenOrigin(bool writing);
  // The same, as the store that the origin lies in.
  Result<ObjectStore*> OpenStore(bool writing);
  // Requires: OpenOrigin was called before. kDenied: the key file is missing
  // (says how to make one), or others can read it.
  Result<KeyService*> Keys();
  // The store of the origin that OpenOrigin opened.
  ObjectStore& Store() { return *store_; }

  // The key file in use, whether or not it is there.
  std::string KeyPath() const;

  // Whether all that was printed has been taken. kIo: it was not.
  Status Flush() const;

  // Prints facts: `json` under --json, else `id` under -q, else `text`.
  void Print(const Json& json, const std::string& id,
             const std::string& text) const;

 private:
  explicit Tool(Config config) : config_(std::move(config)) {}

  Status MakeFirstKey();

  Config config_;
  bool quiet_ = false;
  bool json_ = false;
  bool writing_ = false;
  std::unique_ptr<ObjectStore> store_;
  std::unique_ptr<Origin> origin_;
  std::unique_ptr<KeyService> keys_;
};

// A new key file, with the folders above it. kExists: it is there already.
Status CreateKeyFile(const std::string& path);

// One line on standard error: "morsel: MESSAGE", whatever foreign text is in
// it (base/printable.h).
void PrintMessage(const std::string& message);
// The same for an error of a verb: "morsel: VERB: MESSAGE (CODE)".
void PrintError(const std::string& verb, const Error& error);

// For words that a verb cannot take, as the command line has them: says so with
// a hint at the help, and gives the exit code.
int UsageError(const std::string& verb, const std::string& message);

// Exit codes: see the manual.
int ExitCodeOf(Code code);

// True if `text` names a source to convert ("oci:...", "docker://...") and not
// an image of the origin.
bool IsSource(std::string_view text);

// The image that `name` shows; kNotFound and other errors name it.
Result<ResolvedImage> ResolveNamed(Tool& tool, const ImageName& name);
// Its data key. kDenied: it is wrapped by another key.
Result<SecretKey> UnwrapKeyOf(Tool& tool, const ImageName& name,
                              const ResolvedImage& image);

// The resolved image and its data key, as most verbs need them together.
struct UnlockedImage {
  ImageName name;
  ResolvedImage resolved;
  SecretKey data_key;
};
// `verb` is who reads it: who has no key for it has read of its root all the
// same (cmd/note_read.h). Of an image that opens its user notes that.
Result<UnlockedImage> Unlock(Tool& tool, const std::string& name,
                             const std::string& verb);

}  // namespace morsel
