// SPDX-License-Identifier: Apache-2.0
// The table of verbs. Their work is in verbs_images.cc, verbs_devices.cc and
// verbs_admin.cc.
#include "cmd/verbs.h"

namespace morsel {
namespace {

const ArgumentSpec kName{.name = "NAME",
                         .help = "an image: NAME[:TAG] or NAME@MANIFEST_ID",
                         .complete = "image"};
const ArgumentSpec kSource{
    .name = "SOURCE",
    .help =
        "oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE or "
        "docker://REFERENCE",
    .complete = "file"};
const OptionSpec kPlatform{
    .name = "platform",
    .value_name = "OS/ARCH",
    .help = "which image of an index to take; this machine's by default"};
const OptionSpec kReadOnly{.name = "read-only",
                           .help = "refuse all writes to the device"};
const OptionSpec kOverlay{
    .name = "overlay",
    .value_name = "NAME",
    .help =
        "keep the writes under this name; without it they end with the "
        "device"};
const OptionSpec kStats{.name = "stats-file",
                        .value_name = "FILE",
                        .help = "write times and what was loaded, as JSON"};

VerbSpec ConvertVerb() {
  return {
      .name = "convert",
      .summary = "turn an OCI image into chunks in the origin",
      .description =
          "Flattens the image into one deterministic ext4, cuts it into "
          "chunks, encrypts them and stores those that the origin does not "
          "have yet. The image appears under NAME at the very end; a convert "
          "that is stopped leaves nothing visible, and the next one uses the "
          "chunks that it had stored.",
      .arguments = {kSource,
                    {.name = "NAME",
                     .help = "the name to give it: NAME[:TAG]; the source's "
                             "own by default",
                     .required = false}},
      .options = {kPlatform,
                  {.name = "rewrite",
                   .help = "write also the chunks that the origin has: mends "
                           "what 'morsel verify' has found damaged"},
                  {.name = "ext4",
                   .value_name = "FILE",
                   .help = "write the plain file system to FILE, and nothing "
                           "to the origin"}},
      .examples = {{"morsel convert oci:./images:python app:1.0",
                    "Converts the tag python of an OCI layout."},
                   {"morsel convert docker://debian:12",
                    "Fetches the image by skopeo and converts it."}},
      .run = RunConvert};
}

VerbSpec InspectVerb() {
  return {
      .name = "inspect",
      .summary = "show what an image consists of",
      .description =
          "Prints the image's digests, sizes, root and chunks, and with "
          "its key the OCI config. --no-key shows what can be known "
          "without a key.",
      .arguments = {kName},
      .options = {{.name = "no-key", .help = "do not open the sealed part"},
                  {.name = "oci-config", .help = "print the OCI config alone"},
                  {.name = "chunks", .help = "list every chunk"}},
      .examples = {},
      .run = RunInspect};
}

VerbSpec VerifyVerb() {
  return {
      .name = "verify",
      .summary = "check every byte of an image in the origin",
      .description =
          "Reads the record, the manifest and every chunk, and compares "
          "them with their hashes; with the key it also opens the sealed "
          "part. Exits with 4 and names what is damaged or missing.",
      .arguments = {kName},
      .options = {{.name = "no-key", .help = "do not open the sealed part"}},
      .examples = {},
      .run = RunVerify};
}

std::vector<ArgumentSpec> RunArgumentSpecs() {
  return {{.name = "NAME",
           .help = "an image, or a SOURCE as for convert",
           .complete = "image"},
          {.name = "COMMAND",
           .help = "what to run instead of the image's command",
           .required = false,
           .rest = true}};
}

std::vector<OptionSpec> RunOptionSpecs() {
  return {{"interactive", 'i', "", "keep standard input open"},
          {"tty", 't', "", "give the command a terminal"},
          {"volume", 'v', "HOST:DIR[:ro]", "bind a folder or file", true},
          {"env", 'e', "NAME[=VALUE]", "set a variable", true},
          {"user", 'u', "USER[:GROUP]", "run as, by name or number"},
          {"workdir", 'w', "DIR", "working directory"},
          {"memory", 'm', "SIZE", "memory limit, e.g. 512MiB"},
          {"cpus", 0, "N", "CPU limit, e.g. 1.5"},
          {"pids-limit", 0, "N", "limit of processes"},
          {"hostname", 0, "NAME", "host name inside"},
          {"entrypoint", 0, "PATH", "instead of the image's entrypoint"},
          {"net", 0, "host|none", "network: the host's, or none (default)"},
          {"cap-add", 0, "CAPABILITY", "add a capability", true},
          {"cap-drop", 0, "CAPABILITY", "drop a capability, or ALL", true},
          {"rm", 0, "", "accepted: the container is always removed"},
          kReadOnly,
          kOverlay,
          kPlatform,
          kStats};
}

VerbSpec RunVerb() {
  return {
      .name = "run",
      .summary = "run a command in a container of an image",
      .description =
          "Starts a container whose file system is loaded as it is read, with "
          "the image's own environment, user, working directory and command. "
          "A SOURCE is converted first. The exit status of the command is "
          "passed on.\n\nWhat is mounted below a folder of -v is seen too, an "
          "image of 'morsel mount' as well: its device is then in use until "
          "the container ends.\n\nThere is no -d, ps or exec: for long-running "
          "containers there is containerd.",
      .arguments = RunArgumentSpecs(),
      .options = RunOptionSpecs(),
      .examples = {{"morsel run app:1.0", "Runs the image's own command."},
                   {"morsel run -it --net host oci:./images:python -- bash",
                    "Converts an image and opens a shell in it."}},
      .run = RunRun};
}

VerbSpec RecordVerb() {
  std::vector<OptionSpec> options = RunOptionSpecs();
  options.push_back({"for", 0, "SECONDS",
                     "end the command after so long, 0.001 to 86400: for what "
                     "runs for ever"});
  options.push_back({"forget", 0, "",
                     "remove the startup profile of NAME, and run "
                     "nothing"});
  return {
      .name = "record",
      .summary = "record what a start of an image reads",
      .description =
          "Runs the command as run does, and keeps with the image which chunks "
          "were read, in their order: its startup profile. From then on "
          "whoever attaches the image has them loaded ahead, whatever the "
          "machine. The profile belongs to the manifest, and so to every name "
          "that shows it. Record what containers do until they are ready; for "
          "a server, --for.\n\nThe command's standard output goes to standard "
          "error; standard output has what was recorded. Nothing is kept, and "
          "the last profile stays, if the command fails (exit status 1, "
          "whatever its own was), if its device does, or if it read nothing. "
          "With --for, what is read until the time is up counts, and the "
          "command's exit status after that does not matter: it then gets "
          "SIGTERM, and SIGKILL two seconds later.",
      .arguments = RunArgumentSpecs(),
      .options = std::move(options),
      .examples = {{"morsel record --for 10 web:1.0",
                    "Records the first ten seconds of a server."}},
      .run = RunRecord};
}

VerbSpec AttachVerb() {
  return {.name = "attach",
          .summary = "present an image as a block device file",
          .description =
              "Starts an agent that serves the image as a FUSE file, and "
              "prints the file's path when it is usable: for loop devices, "
              "QEMU or Firecracker. With --list, shows what is attached.",
          .arguments = {{.name = "NAME",
                         .help = "an image",
                         .required = false,
                         .complete = "image"}},
          .options = {kReadOnly,
                      kOverlay,
                      {.name = "list", .help = "show the attached devices"}},
          .examples = {{"qemu-system-x86_64 -drive "
                        "file=$(morsel attach app),format=raw ...",
                        "Gives a virtual machine the image as a disk."}},
          .run = RunAttach};
}

VerbSpec DetachVerb() {
  return {.name = "detach",
          .summary = "end an attached device",
          .description =
              "Ends the device and its agent. Fails while it is in use. The "
              "writes are gone unless the device had a named overlay.",
          .arguments = {{.name = "PATH",
                         .help = "the path that attach printed",
                         .complete = "device"}},
          .options = {},
          .examples = {},
          .run = RunDetach};
}

VerbSpec MountVerb() {
  return {.name = "mount",
          .summary = "mount an image on a folder",
          .description =
              "Attaches the image and mounts its file system (nodev). Writes "
              "go to an overlay on this machine, never to the image.",
          .arguments = {kName,
                        {.name = "DIR",
                         .help = "an existing folder",
                         .complete = "file"}},
          .options = {kReadOnly, kOverlay},
          .examples = {},
          .run = RunMount};
}

VerbSpec UmountVerb() {
  return {
      .name = "umount",
      .summary = "unmount what mount mounted, and end its device",
      .description = "Unmounts the folder and ends the device behind it.",
      .arguments = {{.name = "DIR", .help = "the folder", .complete = "file"}},
      .options = {},
      .examples = {},
      .run = RunUmount};
}

VerbSpec StatVerb() {
  return {
      .name = "stat",
      .summary = "show what the caches gave and what each device loaded",
      .description =
          "Shows for each tier of the worker's shared local cache how many "
          "chunks it gave, missed, and held damaged, how often it did not "
          "answer so that the next tier was asked, and how long it took; and "
          "for each attached device what it read, wrote and loaded, and what "
          "its own local cache gave if it has one (local_cache in --json).",
      .arguments = {},
      .options = {},
      .examples = {{"morsel stat --json | jq .local_cache.tiers",
                    "The figures of each tier."}},
      .run = RunStat};
}

VerbSpec TopVerb() {
  return {.name = "top",
          .summary = "show what stat shows, again and again",
          .description =
              "Prints what 'morsel stat' prints every second, over the same "
              "screen if that is a terminal. With --json, one line each time.",
          .arguments = {},
          .options = {{.name = "interval",
                       .value_name = "SECONDS",
                       .help = "how often; 1 by default"},
                      {.name = "count",
                       .value_name = "N",
                       .help = "how many times; for ever by default"}},
          .examples = {},
          .run = RunTop};
}

VerbSpec DoctorVerb() {
  return {.name = "doctor",
          .summary = "check this machine, and clear what crashes left behind",
          .description =
              "Looks whether the machine has what Morsel needs (FUSE, loop "
              "devices, ext4, runc, rights) and for leftovers of processes "
              "that were killed: devices, mounts, loop devices, containers. "
              "Leftovers are cleared; what is in use is never touched.",
          .arguments = {},
          .options = {{.name = "dry-run",
                       .help = "only show what would be cleared"}},
          .examples = {},
          .run = RunDoctor};
}

VerbSpec ImagesVerb() {
  return {.name = "images",
          .summary = "list the images of the origin",
          .description =
              "Lists every name with its size and when it was "
              "published.",
          .arguments = {},
          .options = {},
          .examples = {},
          .run = RunImages};
}

VerbSpec TagVerb() {
  return {.name = "tag",
          .summary = "give an image another name",
          .description =
              "Makes NEW show the image that NAME shows. Needs the "
              "right to unwrap its key.",
          .arguments = {kName, {.name = "NEW", .help = "the new name"}},
          .options = {},
          .examples = {},
          .run = RunTag};
}

VerbSpec RmVerb() {
  return {.name = "rm",
          .summary = "remove a name",
          .description =
              "Removes the name. Chunks may be shared with other "
              "images, so space returns only with the root, when that "
              "is rotated out and collected.",
          .arguments = {kName},
          .options = {},
          .examples = {},
          .run = RunRm};
}

VerbSpec AgentVerb() {
  return {
      .name = "agent",
      .summary = "replace running agents by a newer program",
      .description =
          "'morsel agent upgrade PATH', or with --all for every device, has "
          "the morsel-agent that is installed beside this program take the "
          "place of the running one. The device stays, and its users see no "
          "error, only a pause of some milliseconds. If the new program cannot "
          "serve, the old one goes on.",
      .arguments = {{.name = "ACTION", .help = "upgrade"},
                    {.name = "PATH",
                     .help = "the path that attach printed",
                     .required = false,
                     .complete = "device"}},
      .options = {{.name = "all", .help = "every attached device"}},
      .examples = {{"morsel agent upgrade --all",
                    "After an update of the package."}},
      .run = RunAgent};
}

VerbSpec RootsVerb() {
  return {
      .name = "roots",
      .summary = "list the roots, or admit a key to one",
      .description =
          "Without arguments, lists the roots of the origin. 'morsel roots "
          "admit ROOT KEY_FILE' lets the key of KEY_FILE convert into ROOT: "
          "its images then share chunks with the others' there, though "
          "neither can open the other's. 'morsel roots new' makes a further "
          "root "
          "for new images, and 'morsel roots retire ROOT' lets one go: 'morsel "
          "gc run' then moves what is still named to the others, and deletes "
          "the rest with it.",
      .arguments = {{.name = "ACTION",
                     .help = "admit, new or retire",
                     .required = false},
                    {.name = "ROOT",
                     .help = "the root's id",
                     .required = false},
                    {.name = "KEY_FILE",
                     .help = "the key file to admit",
                     .required = false,
                     .complete = "file"}},
      .options = {{"placement", 0, "LABEL",
                   "of a new root: a zone, say; images stay within it"},
                  {"tenant", 0, "CLASS",
                   "of a new root: a class of tenants that share chunks"}},
      .examples = {{"morsel roots new && morsel roots retire r0123456789ab",
                    "Rotates: garbage goes with the old root."}},
      .run = RunRoots};
}

VerbSpec GcVerb() {
  return {
      .name = "gc",
      .summary = "collect garbage, and say how it stands",
      .description =
          "status: the roots with what they hold, and the alarms. run: one "
          "pass of the collector: moves what is still named out of retired "
          "roots, lets roots expire, and deletes expired ones; run it by a "
          "timer, or with --daemon. check: holds the origin to the invariants "
          "and exits with 4 if one is broken. resume: acknowledges the alarms "
          "that it shows, after which deletion goes on.\n\nAn alarm is a read "
          "of an expired root, which should not happen; it stops all deletion "
          "(exit status 5). No key is needed, and any number of collectors may "
          "run at once.\n\nA device that is attached holds a lease on its "
          "image, which so moves on though nothing else names it, and reads "
          "from where it is. Leases that nobody has renewed for a day are "
          "deleted.",
      .arguments = {{.name = "ACTION", .help = "status, run, check or resume"}},
      .options = {{"births", 0, "",
                   "status: also what each root holds that was born in "
                   "another, which rotations have cost of dedup; reads every "
                   "manifest"},
                  {"dry-run", 0, "", "run: only say what would be done"},
                  {"daemon", 0, "", "run: a pass each gc.interval"}},
      .examples = {{"morsel gc run --dry-run", "Says what a pass would do."}},
      .run = RunGc};
}

VerbSpec KeysVerb() {
  return {
      .name = "keys",
      .summary = "list, create, add or rotate keys",
      .description =
          "Lists the keys in use; the last one wraps what is new. 'create' "
          "makes the key file (0600) that --key-file names; 'add' adds a new "
          "key to it, which wraps from then on while the old ones still open "
          "what they wrapped.\n\n"
          "'rotate' wraps anew, by the present key, what older keys wrapped: "
          "the records of the images, the salts of the roots, and the named "
          "overlays of this machine; no manifest and no chunk is touched. With "
          "OLD_KEY_FILE it also takes over what "
          "the keys of that file wrapped. When it is through, the old keys may "
          "be destroyed. With --key-file naming a file without a key, all that "
          "it wrapped is locked, and nothing else.",
      .arguments = {{.name = "ACTION",
                     .help = "list, create, add or rotate",
                     .required = false},
                    {.name = "OLD_KEY_FILE",
                     .help = "the key file to rotate from",
                     .required = false,
                     .complete = "file"}},
      .options = {{.name = "all",
                   .help = "rotate: also what the present key wrapped, as "
                           "after an alias of KMS was moved"}},
      .examples = {{"morsel keys add && morsel keys rotate",
                    "Changes the key of all images."}},
      .run = RunKeys};
}

VerbSpec CompletionVerb() {
  return {.name = "completion",
          .summary = "print the shell completion",
          .description =
              "Prints a script for bash; zsh takes it too, after "
              "'autoload bashcompinit; bashcompinit'.",
          .arguments = {{.name = "SHELL", .help = "bash or zsh"}},
          .options = {},
          .examples = {{"source <(morsel completion bash)",
                        "Completes verbs, options, images and devices."}},
          .run = RunCompletion};
}

VerbSpec ManVerb() {
  return {.name = "man",
          .summary = "write the man pages into a folder",
          .description = "Writes morsel.1 and a page for each verb.",
          .arguments = {{.name = "DIR", .help = "the folder"}},
          .options = {},
          .examples = {},
          .run = RunMan};
}

}  // namespace

const std::vector<OptionSpec>& CommonOptions() {
  static const std::vector<OptionSpec> options = {
      {"config", 0, "FILE", "read settings from FILE"},
      {"state-dir", 0, "DIR", "where state lies"},
      {"run-dir", 0, "DIR", "where sockets and devices lie"},
      {"origin", 0, "ORIGIN", "where images are kept: a folder"},
      {"key-file", 0, "FILE", "the key file"},
      {"json", 0, "", "print facts as JSON"},
      {"quiet", 'q', "", "print only the id or path"},
  };
  return options;
}

const std::vector<VerbSpec>& Verbs() {
  static const std::vector<VerbSpec> verbs = {
      ConvertVerb(), RunVerb(),    RecordVerb(), InspectVerb(),
      VerifyVerb(),  ImagesVerb(), TagVerb(),    RmVerb(),
      AttachVerb(),  DetachVerb(), MountVerb(),  UmountVerb(),
      AgentVerb(),   StatVerb(),   TopVerb(),    RootsVerb(),
      GcVerb(),      KeysVerb(),   DoctorVerb(), CompletionVerb(),
      ManVerb(),
  };
  return verbs;
}

}  // namespace morsel
