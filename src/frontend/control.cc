// SPDX-License-Identifier: Apache-2.0
#include "frontend/control.h"

#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "frontend/report.h"
#include "net/unix_socket.h"

namespace morsel {
namespace {

// Who connects asks at once: the guard waits for nobody.
constexpr std::chrono::seconds kAskTime(1);

}  // namespace

Fd OpenControl(const std::string& device_dir) {
  Result<Fd> listener = ListenAtPath(device_dir + "/control", 0600, 0);
  if (listener.ok()) return std::move(listener).value();
  LogWarn("the agent cannot be upgraded",
          {{"cause", listener.error().message}});
  return Fd();
}

std::optional<ControlRequest> TakeRequest(int listener) {
  Result<std::optional<Fd>> client = TryAccept(listener);
  if (!client.ok() || !client->has_value()) return std::nullopt;
  ControlRequest request{.client = std::move(**client), .program = {}};
  Bytes buffer(64 * kKiB);
  const Result<ReceivedMessage> message = ReceiveMessage(
      request.client.get(), buffer, SystemClock().Now() + kAskTime);
  if (!message.ok()) return std::nullopt;
  const Result<Json> json =
      Json::Parse(AsText(ByteSpan(buffer).first(message->byte_count)));
  if (json.ok() && json->BoolOr("cache", false)) return request;
  if (json.ok()) request.program = json->StringOr("upgrade", "");
  if (request.program.starts_with('/')) return request;
  Reply(request.client,
        ErrorReport(MakeError(Code::kInvalid, "not an absolute path: '" +
                                                  request.program + "'")));
  return std::nullopt;
}

void Reply(const Fd& client, const Json& answer) {
  const Status ignored = SendMessage(client.get(), AsBytes(answer.Dump()), {},
                                     SystemClock().Now() + kAskTime);
  static_cast<void>(ignored);
}

}  // namespace morsel
