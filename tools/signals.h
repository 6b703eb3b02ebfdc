// SIGINT and SIGTERM as a question that long work asks, so that it can save its state and leave.
#pragma once

namespace dermatome {

// From now on the first SIGINT or SIGTERM only marks itself; a second one ends the process at once (files are replaced
// as a whole, so that costs nothing but time). A signal that the process was started to ignore stays ignored. Writing
// past a limit on file sizes becomes an error of the write instead of the end.
void catch_signals();

int received_signal();  // its number, or 0

// Thrown by work that a signal ended before there was anything to save.
struct StoppedBySignal {};
void stop_if_signalled();  // throws it once a signal was received

}  // namespace dermatome
