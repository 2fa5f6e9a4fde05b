// SPDX-License-Identifier: Apache-2.0
#include "cmd/verbs.h"
#include "sandbox/device.h"
#include "sandbox/mount.h"

namespace morsel {
namespace {

Result<AttachedDevice> AttachByName(Tool& tool, const Arguments& arguments,
                                    const std::string& verb) {
  ASSIGN_OR_RETURN(const UnlockedImage image,
                   Unlock(tool, arguments.Get("NAME"), verb));
  ASSIGN_OR_RETURN(KeyService* const keys, tool.Keys());
  AttachOptions options;
  options.read_only = arguments.Has("read-only");
  ASSIGN_OR_RETURN(options.overlay, OverlayName(arguments));
  return AttachDevice(tool.config(), image.name, image.resolved, image.data_key,
                      *keys, options);
}

Result<int> ListAttached(Tool& tool) {
  ASSIGN_OR_RETURN(const std::vector<AttachedDevice> devices,
                   ListDevices(tool.config()));
  Json json{Json::Array()};
  std::string ids;
  std::string text;
  for (const AttachedDevice& device : devices) {
    json.Append(device.ToJson());
    ids += (ids.empty() ? "" : "\n") + device.path;
    text += device.path + "  " + device.image +
            (device.read_only ? "  read-only" : "") +
            (device.overlay.empty() ? "" : "  overlay " + device.overlay) +
            (device.alive ? "" : "  dead: 'morsel doctor' clears it") + "\n";
  }
  tool.Print(json, ids, text);
  return 0;
}

Result<std::vector<std::string>> AlivePaths(const Config& config) {
  ASSIGN_OR_RETURN(const std::vector<AttachedDevice> devices,
                   ListDevices(config));
  std::vector<std::string> paths;
  for (const AttachedDevice& device : devices)
    if (device.alive) paths.push_back(device.path);
  return paths;
}

}  // namespace

Result<std::string> OverlayName(const Arguments& arguments) {
  std::string name = arguments.Get("overlay");
  if (arguments.Has("overlay") && name.empty())
    return MakeError(Code::kInvalid,
                     "--overlay has no name; without the option the writes end "
                     "with the device");
  return name;
}

Result<int> RunAttach(Tool& tool, const Arguments& arguments) {
  if (arguments.Has("list")) return ListAttached(tool);
  if (!arguments.Has("NAME"))
    return UsageError("attach",
                      "NAME is required: which image? 'morsel images' lists "
                      "what there is");
  ASSIGN_OR_RETURN(const AttachedDevice device,
                   AttachByName(tool, arguments, "attach"));
  tool.Print(device.ToJson(), device.path, device.path + "\n");
  const Status told = tool.Flush();
  if (told.ok()) return 0;
  // Nobody knows its path: it would be served until the next boot.
  (void)DetachDevice(tool.config(), device.path);
  return told.error();
}

Result<int> RunDetach(Tool& tool, const Arguments& arguments) {
  const std::string path = arguments.Get("PATH");
  RETURN_IF_ERROR(DetachDevice(tool.config(), path));
  Json json;
  json["detached"] = path;
  tool.Print(json, path, "");
  return 0;
}

Result<int> RunMount(Tool& tool, const Arguments& arguments) {
  const std::string dir = arguments.Get("DIR");
  ASSIGN_OR_RETURN(const AttachedDevice device,
                   AttachByName(tool, arguments, "mount"));
  if (Status mounted = MountImage(tool.config(), device, dir); !mounted.ok()) {
    // The mount's error is what the user needs; doctor clears what is left.
    (void)DetachDevice(tool.config(), device.path);
    return std::move(mounted).error();
  }
  Json json = device.ToJson();
  json["dir"] = dir;
  tool.Print(json, dir, "");
  return 0;
}

Result<int> RunUmount(Tool& tool, const Arguments& arguments) {
  const std::string dir = arguments.Get("DIR");
  RETURN_IF_ERROR(UmountImage(tool.config(), dir));
  Json json;
  json["unmounted"] = dir;
  tool.Print(json, dir, "");
  return 0;
}

Result<int> RunAgent(Tool& tool, const Arguments& arguments) {
  const bool all = arguments.Has("all");
  if (arguments.Get("ACTION") != "upgrade")
    return UsageError("agent", "the only action is upgrade");
  if (all == arguments.Has("PATH"))
    return UsageError("agent", "upgrade wants a device's PATH, or --all");
  std::vector<std::string> paths = {arguments.Get("PATH")};
  if (all) {
    ASSIGN_OR_RETURN(paths, AlivePaths(tool.config()));
  }
  Json json{Json::Array()};
  std::string ids;
  Status status;  // the first that failed; the others are upgraded still
  for (const std::string& path : paths) {
    const Result<AttachedDevice> device = UpgradeDevice(tool.config(), path);
    if (!device.ok()) {
      if (status.ok()) status = device.error();
      continue;
    }
    json.Append(device->ToJson());
    ids += (ids.empty() ? "" : "\n") + device->path;
  }
  tool.Print(json, ids, ids.empty() ? "" : ids + "\n");
  RETURN_IF_ERROR(status);
  return 0;
}

}  // namespace morsel
