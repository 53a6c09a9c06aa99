package phone

import (
	"context"
	"sync/atomic"
	"time"

	"capf/runtime/wire"
)

// Point is a place in a session, before or after a message.
type Point struct {
	Attempt int          // of the phone, from 1
	Number  int          // of the message in its session, from 1, those of both sides counted
	Sent    bool         // the phone sends it; otherwise it receives it
	After   bool         // it is through; otherwise the phone is about to send or await it
	Command wire.Command // 0 before a message that is yet to be received
}

// Hook is called at every point of a session. A [Drop] as its error breaks the line in that way, every
// other error ends the session.
type Hook func(ctx context.Context, at Point) error

// Drop is a way to break a line.
type Drop uint8

// The ways to break a line.
const (
	DropNotify Drop = iota + 1 // with the notice that TLS has for it, as a user's Stop may do
	DropFIN                    // the connection is closed without notice
	DropRST                    // the connection is reset
)

var dropNames = map[Drop]string{DropNotify: "close notify", DropFIN: "FIN", DropRST: "RST"}

// Error says that the phone itself broke the line.
func (d Drop) Error() string { return "the phone broke it off with " + dropNames[d] }

// StopAt is a hook that breaks the line once, before or after the message with that number; a retry is
// left alone.
func StopAt(number int, after bool, drop Drop) Hook {
	var done atomic.Bool
	return func(_ context.Context, at Point) error {
		if at.Number == number && at.After == after && done.CompareAndSwap(false, true) {
			return drop
		}
		return nil
	}
}

// DelayAt is a hook that waits before or after the message with that number.
func DelayAt(number int, after bool, wait time.Duration, sleep Sleep) Hook {
	return func(ctx context.Context, at Point) error {
		if at.Number == number && at.After == after {
			return sleep(ctx, wait)
		}
		return nil
	}
}
