// Signal handlers.
#include "tools/signals.h"

#include <signal.h>

#include <unistd.h>

namespace dermatome {
namespace {

volatile sig_atomic_t received = 0;

extern "C" void remember(int number) {
  if (received != 0) ::_exit(128 + number);
  received = number;
}

void handle(int number) {
  struct sigaction old {};
  if (::sigaction(number, nullptr, &old) != 0 || old.sa_handler == SIG_IGN) return;
  struct sigaction action {};
  action.sa_handler = remember;
  action.sa_flags = SA_RESTART;
  ::sigaction(number, &action, nullptr);
}

}  // namespace

void catch_signals() {
  handle(SIGINT);
  handle(SIGTERM);
  ::signal(SIGXFSZ, SIG_IGN);
}

int received_signal() {
  return received;
}

void stop_if_signalled() {
  if (received_signal() != 0) throw StoppedBySignal();
}

}  // namespace dermatome
