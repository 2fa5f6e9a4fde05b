// SPDX-License-Identifier: Apache-2.0
#include "sandbox/command_file.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

namespace morsel {
namespace {

constexpr mode_t kAnyExecute = S_IXUSR | S_IXGRP | S_IXOTH;
// The kernel looks at as much of a script (BINPRM_BUF_SIZE), and follows so
// many scripts that are each other's interpreters.
constexpr size_t kHeadBytes = 256;
constexpr int kMaxScripts = 5;
constexpr uint64_t kMaxProgramHeaders = 512;

bool IsExecutable(const Fd& file) {
  struct stat info;
  return ::fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode) &&
         (info.st_mode & kAnyExecute) != 0;
}

std::vector<std::string> Candidates(const std::string& command,
                                    std::string_view search_path,
                                    const std::string& working_dir) {
  if (command.empty()) return {};
  if (command[0] == '/') return {command};
  if (command.find('/') != std::string::npos)
    return {working_dir + "/" + command};
  std::vector<std::string> candidates;
  while (!search_path.empty()) {
    const size_t end = std::min(search_path.find(':'), search_path.size());
    if (end > 0)
      candidates.push_back(std::string(search_path.substr(0, end)) + "/" +
                           command);
    search_path.remove_prefix(std::min(end + 1, search_path.size()));
  }
  return candidates;
}

// The interpreter of a script; empty where the kernel would not get so far.
std::string InterpreterOf(std::string_view head) {
  const size_t begin = head.find_first_not_of(" \t", 2);
  if (begin == head.npos) return "";
  const size_t end = head.find_first_of(" \t\n", begin);
  if (end == head.npos && head.size() == kHeadBytes) return "";
  return std::string(head.substr(begin, end - begin));
}

template <typename T>
bool ReadStruct(const Fd& file, uint64_t offset, T& out) {
  return ReadFullAt(file.get(), offset,
                    std::as_writable_bytes(std::span(&out, 1)))
      .ok();
}

// The loader that a 64-bit program of this machine names; empty if it names
// none, or is of a kind that only the kernel can judge.
std::string LoaderOf(const Fd& file) {
  Elf64_Ehdr header;
  if (!ReadStruct(file, 0, header) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_phentsize != sizeof(Elf64_Phdr) ||
      header.e_phnum > kMaxProgramHeaders)
    return "";
  for (size_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr row;
    if (!ReadStruct(file, header.e_phoff + i * sizeof(row), row)) return "";
    if (row.p_type != PT_INTERP) continue;
    if (row.p_filesz < 2 || row.p_filesz > 4096) return "";
    std::string path(row.p_filesz, '\0');
    if (!ReadFullAt(file.get(), row.p_offset,
                    std::as_writable_bytes(std::span(path)))
             .ok())
      return "";
    return path.c_str();  // up to the terminating zero
  }
  return "";
}

Status CheckNeeded(const ContainerView& view, const std::string& needed,
                   const std::string& by) {
  const Result<Fd> file = view.Open(needed, O_PATH);
  if (!file.ok() && file.error().code == Code::kNotFound)
    return MakeError(Code::kNotFound, "the container has no " + needed +
                                          ", which " + by + " needs");
  if (!file.ok()) return file.error();
  if (!IsExecutable(*file))
    return MakeError(Code::kDenied, needed + ", which " + by +
                                        " needs, is no executable file");
  return Ok();
}

Result<std::string> ReadHead(const Fd& file, const std::string& path) {
  std::string head(kHeadBytes, '\0');
  ASSIGN_OR_RETURN_AS(
      const size_t length,
      ReadUpTo(file.get(), std::as_writable_bytes(std::span(head))), path);
  head.resize(length);
  return head;
}

}  // namespace

Result<std::string> FindCommand(const ContainerView& view,
                                const std::string& command,
                                const std::string& search_path,
                                const std::string& working_dir) {
  bool found_other = false;
  for (const std::string& candidate :
       Candidates(command, search_path, working_dir)) {
    const Result<Fd> file = view.Open(candidate, O_PATH);
    if (!file.ok()) continue;
    if (IsExecutable(*file)) return candidate;
    found_other = true;
  }
  if (found_other)
    return MakeError(Code::kDenied,
                     "'" + command + "' in the image is no executable file");
  return MakeError(Code::kNotFound, "no command '" + command +
                                        "' in the image" +
                                        (command.find('/') == std::string::npos
                                             ? " (PATH is " + search_path + ")"
                                             : ""));
}

Status CheckProgram(const ContainerView& view, const std::string& path) {
  std::string program = path;
  for (int scripts = 0; scripts <= kMaxScripts; ++scripts) {
    ASSIGN_OR_RETURN(const Fd file, view.Open(program, O_RDONLY | O_NONBLOCK));
    ASSIGN_OR_RETURN(const std::string head, ReadHead(file, program));
    const bool is_script = head.starts_with("#!");
    if (!is_script && !head.starts_with(ELFMAG))
      return MakeError(Code::kDenied,
                       program +
                           " is neither a program (ELF) nor a script that "
                           "begins with #!");
    const std::string needed = is_script ? InterpreterOf(head) : LoaderOf(file);
    if (!needed.starts_with('/')) return Ok();
    RETURN_IF_ERROR(
        CheckNeeded(view, needed, (is_script ? "the script " : "") + program));
    if (!is_script) return Ok();
    program = needed;
  }
  return MakeError(Code::kDenied,
                   path + " needs a script that needs a script, too often");
}

}  // namespace morsel
